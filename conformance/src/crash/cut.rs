use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::child::{Role, Task};
use super::examiner::Examiner;
use super::ext4::Ext4;
use super::mark::Mark;
use super::op_log::STORE;
use super::report::{Failure, Report};
use super::target::Target;
use super::verdict::Verdict;
use super::window::Window;
use super::workload::WorkloadSpec;
use super::writer::{Reaction, WriterTask};
use crate::answering::{answer, parse_answer};
use crate::interrupt;
use crate::payload::Mix;

/// Cuts the power of a real file system: ext4 in an image file, on a loop device.
///
/// The recorded file system of a [`Sweep`](super::Sweep) is a model; this is what the kernel does, in one of
/// the many ways that the model tries. Each cut has a file system, a run and a moment of its own. The
/// writer's threads are stopped first and what they acknowledged is read, then the file system is shut
/// down without its journal being written, mounted again, and the store looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cut {
    /// How many cuts.
    pub cuts: u64,
    /// The seed of the first one's run; each has the next.
    pub first_seed: u64,
}

impl Default for Cut {
    /// 40 cuts.
    fn default() -> Self {
        Self {
            cuts: 40,
            first_seed: 1,
        }
    }
}

/// How long a writer may take to the moment of the cut.
const DEADLINE: Duration = Duration::from_secs(60);

impl Cut {
    /// Cuts the target's power, and looks at what is left.
    ///
    /// Everything is mounted in a mount namespace of its own, by a process that ends with this one: however
    /// the program ends, nothing stays mounted.
    ///
    /// # Errors
    ///
    /// When nothing can be mounted or started here, the program is [interrupted](crate::interrupt), or the kit itself
    /// fails.
    pub fn run(&self, target: &Target) -> io::Result<Report> {
        let room = TempDir::with_prefix("raft-logstore-cut-")?;
        let task = Task {
            target: target.name().to_owned(),
            role: Role::Cutter(CutterTask {
                cut: self.clone(),
                room: room.path().to_owned(),
            }),
        };
        // Dropped before the room is: it makes files there.
        let mut cutter = Process(
            in_a_namespace(&task.command()?)
                .stderr(Stdio::inherit())
                .spawn()?,
        );
        let output = cutter.0.stdout.take();
        let found = thread::spawn(move || {
            let lines = BufReader::new(output?).lines().map_while(Result::ok);
            lines.filter_map(|line| parse_answer(&line)).last()
        });
        while !found.is_finished() {
            interrupt::check()?;
            thread::sleep(Duration::from_millis(20));
        }
        let status = cutter.0.wait()?;
        let found = found.join().ok().flatten();
        found.ok_or_else(|| io::Error::other(format!("the process that cuts ended with {status}")))
    }
}

/// Why the power of an ext4 cannot be cut here; `None` when it can.
pub fn cut_unavailable() -> Option<String> {
    let tried = TempDir::with_prefix("raft-logstore-cut-").and_then(|dir| {
        let mut ext4 = Ext4::new(dir.path())?;
        ext4.cut()?;
        ext4.power_on()?;
        let status = in_a_namespace(&Command::new("true")).status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("unshare ended with {status}"))),
        }
    });
    let error = tried.err()?;
    Some(format!(
        "the power of an ext4 cannot be cut here ({error}); that takes root, loop devices, mkfs.ext4, unshare \
         and perl"
    ))
}

/// The command, with mounts of its own that go when its last process does.
fn in_a_namespace(command: &Command) -> Command {
    let mut unshare = Command::new("unshare");
    unshare
        .arg("--mount")
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args())
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // As the command itself has one.
        .process_group(0);
    unshare
}

/// The process that mounts, cuts and looks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CutterTask {
    cut: Cut,
    /// A directory for the images, which the parent removes.
    room: PathBuf,
}

/// Does the cuts and answers with a [`Report`].
pub(super) fn run(target: &Target, task: &CutterTask) -> io::Result<()> {
    let mut report = Report::new(target);
    let seeds = task.cut.first_seed..task.cut.first_seed.saturating_add(task.cut.cuts);
    for seed in seeds {
        let room = task.room.join(seed.to_string());
        fs::create_dir(&room)?;
        OneCut { target, seed }.run(&room, &mut report)?;
        fs::remove_dir_all(&room)?;
    }
    answer(&report)
}

/// One run, cut at one moment.
struct OneCut<'a> {
    target: &'a Target,
    seed: u64,
}

impl OneCut<'_> {
    fn run(&self, room: &Path, report: &mut Report) -> io::Result<()> {
        let mut ext4 = Ext4::new(room)?;
        let store = ext4.root().join(STORE);
        fs::create_dir(&store)?;
        File::open(&store)?.sync_all()?;
        let marks = room.join(Mark::FILE);
        File::create(&marks)?;

        let workload = self.target.workload(self.seed);
        let task = Task {
            target: self.target.name().to_owned(),
            role: Role::Writer(WriterTask {
                workload,
                root: ext4.root().to_owned(),
                marks: marks.clone(),
                resume: None,
                may_kill: false,
                most_writes: None,
                arm: false,
                reaction: Reaction::default(),
            }),
        };
        let mut writer = Process(task.command()?.spawn()?);
        self.wait_for_the_moment(&mut writer, &marks, workload)?;
        writer.stop()?;
        // Nobody acknowledges anything now, and no sync is on its way that could still say that it is done.
        let marks = read_marks(&marks)?;
        ext4.cut()?;
        let said = writer.end()?;
        ext4.power_on()?;

        let mut window = Window::default();
        marks.iter().for_each(|mark| window.pass(*mark));
        let ended = marks.contains(&Mark::Finished);
        if let Some(verdict) = said.filter(|_| !ended) {
            report.fail(|| self.failure(format!("while writing: {verdict:?}")));
        }
        // Dropped before the file system is: a checker has files of it open.
        let mut examiner = Examiner::new(self.target, workload);
        let verdict = examiner.examine_dir(&ext4.root().join(STORE), window, true)?;
        if report.count(self.target, &verdict, window.opened) {
            report.fail(|| self.failure(format!("{verdict:?} ({window:?})")));
        }
        drop(examiner);
        Ok(())
    }

    /// Lets the writer run until some number of marks, and a moment more.
    fn wait_for_the_moment(
        &self,
        writer: &mut Process,
        marks: &Path,
        workload: WorkloadSpec,
    ) -> io::Result<()> {
        let mut mix = Mix::new(self.seed ^ 0x000C_07C0);
        let writes = workload.generate().writes().count() as u64;
        // Each write is submitted and acknowledged; the first open is one more.
        let after = mix.below(2 * writes + 1) * Mark::LEN as u64;
        let moment = Duration::from_micros(mix.below(3000));
        let started = Instant::now();
        while fs::metadata(marks)?.len() < after && writer.0.try_wait()?.is_none() {
            if started.elapsed() > DEADLINE {
                return Err(io::Error::other(format!(
                    "the writer hung for {DEADLINE:?}"
                )));
            }
            thread::sleep(Duration::from_micros(50));
        }
        thread::sleep(moment);
        Ok(())
    }

    fn failure(&self, what: String) -> Failure {
        Failure {
            what,
            // The moment is one of real time; another try may find another.
            replay: format!(
                "cut {} --first-seed {} --cuts 1",
                self.target.name(),
                self.seed
            ),
            artifact: None,
        }
    }
}

fn read_marks(path: &Path) -> io::Result<Vec<Mark>> {
    let bytes = fs::read(path)?;
    let marks = bytes.chunks(Mark::LEN).map(Mark::decode);
    marks
        .map(|mark| mark.ok_or_else(|| io::Error::other("a mark cannot be read")))
        .collect()
}

/// A process that writes or cuts. Dropping it ends it.
struct Process(Child);

impl Process {
    /// Stops all of its threads, wherever they are; returns when they are stopped or it has ended.
    fn stop(&mut self) -> io::Result<()> {
        if self.0.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::STOP)?;
        // A thread in a call to the kernel stops when that is done.
        let until = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), until)?;
        Ok(())
    }

    /// Ends it; returns what it had to say.
    fn end(&mut self) -> io::Result<Option<Verdict>> {
        // It may have ended by itself.
        drop(self.0.kill());
        self.0.wait()?;
        let mut output = String::new();
        if let Some(mut stdout) = self.0.stdout.take() {
            stdout.read_to_string(&mut output)?;
        }
        Ok(output.lines().find_map(parse_answer))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that is not there needs no ending.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
