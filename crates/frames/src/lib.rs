//! Commits as frames in a preallocated file: what the journal of the key-value backends and the segments of
//! the write-ahead log have in common.
//!
//! A commit is one [`Frame`], made in a [`FrameBuffer`]. A [`FrameWriter`] writes it with one positional write and makes
//! it durable, which has no metadata to write, because a [`FrameFile`] has its space from the start. The operations inside
//! are encoded by [`encoding`].
//!
//! # What is found after a crash
//!
//! One commit is written at a time, and the next one only when it is durable. So at most one frame can be torn,
//! the last one. It was never acknowledged, and is the end; [`FrameFile::keep_aside`] copies it before it is
//! overwritten. A damaged frame with a whole one of a later commit behind it
//! ([`FrameFile::later_frame`]) is rot.

mod aside;
mod disk;
pub mod encoding;
mod folder;
mod frame;
mod frame_buffer;
mod frame_file;
mod frame_writer;

pub use aside::keep_aside;
pub use folder::Folder;
pub use frame::Frame;
pub use frame_buffer::FrameBuffer;
pub use frame_file::{Access, FrameFile, Header};
pub use frame_writer::FrameWriter;
