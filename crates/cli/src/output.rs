//! Results go to stdout, notes to stderr.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

use anyhow::{Context, Result};

/// Where results go.
pub(crate) type Stdout = BufWriter<StdoutLock<'static>>;

/// Lets `write` print a result. A reader that is gone wants nothing more, which is no failure; any
/// other error is one.
pub(crate) fn result(write: impl FnOnce(&mut Stdout) -> io::Result<()>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            // What is left in the buffer must not be tried again when it is dropped.
            drop(out.into_parts());
            Ok(())
        }
        outcome => outcome.context("cannot write to stdout"),
    }
}

/// Prints an object in JSON, on lines of its own.
pub(crate) fn json(object: &impl serde::Serialize) -> Result<()> {
    result(|out| {
        serde_json::to_writer_pretty(&mut *out, object)?;
        writeln!(out)
    })
}

/// Writes a line to stderr, for people.
pub(crate) fn note(text: impl Display) {
    // Where nobody can read it there is no place left to report that to.
    let _ = writeln!(io::stderr(), "{text}");
}
