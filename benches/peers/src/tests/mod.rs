mod logs;
mod rocks_raft;
