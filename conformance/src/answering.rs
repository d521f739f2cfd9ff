//! How the processes that the kit starts answer: a line of JSON each, among whatever else they print.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Starts every answer, so that other output is told apart.
const ANSWER: &str = "raft-logstore-conformance answers: ";

/// Tells the parent something.
pub(crate) fn answer(answer: &impl Serialize) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{ANSWER}{}", serde_json::to_string(answer)?)?;
    stdout.flush()
}

/// What a child told in a line of its output; `None` for other output.
#[cfg(all(feature = "crash", target_os = "linux"))]
pub(crate) fn parse_answer<T: DeserializeOwned>(line: &str) -> Option<T> {
    serde_json::from_str(line.strip_prefix(ANSWER)?).ok()
}

/// A process that answers each line that it is sent. Dropping it kills it.
pub(crate) struct Answering {
    child: Child,
    questions: ChildStdin,
    /// From a thread that reads the output, so that one can stop waiting.
    answers: Receiver<String>,
}

/// How a process ended in place of an answer. It is of no use after that.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// It died.
    Died(ExitStatus),
    /// It gave no answer in time, and was killed.
    Hung,
}

impl Answering {
    /// Starts a process whose input and output are for questions and answers.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(questions), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the process has no pipes"));
        };
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Of a child that nobody waits for any more, the answers are read to the end as well.
                if let Some(answer) = line.strip_prefix(ANSWER) {
                    drop(sender.send(answer.to_owned()));
                }
            }
        });
        Ok(Self {
            child,
            questions,
            answers,
        })
    }

    /// Asks a question, and waits for the answer.
    ///
    /// # Errors
    ///
    /// When the answer cannot be read, or the process not be ended.
    pub(crate) fn ask<A: DeserializeOwned>(
        &mut self,
        question: &impl Serialize,
        deadline: Duration,
    ) -> io::Result<Result<A, NoAnswer>> {
        let question = serde_json::to_string(question)?;
        if writeln!(self.questions, "{question}").is_err() {
            return Ok(Err(NoAnswer::Died(self.child.wait()?)));
        }
        match self.answers.recv_timeout(deadline) {
            Ok(answer) => Ok(Ok(serde_json::from_str(&answer)?)),
            Err(RecvTimeoutError::Timeout) => {
                self.kill()?;
                Ok(Err(NoAnswer::Hung))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(Err(NoAnswer::Died(self.child.wait()?))),
        }
    }

    /// Kills it, as an operating system kills: nothing of it runs any more.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // It may have ended by itself; a process that is not there needs no ending.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
