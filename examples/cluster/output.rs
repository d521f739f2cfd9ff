//! What the program says: results on stdout, notes on stderr.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Writes a line to stdout. A reader that is gone wants nothing more, which is no failure; any other
/// error is one.
pub(crate) fn result(text: impl Display) -> io::Result<()> {
    written(&mut io::stdout().lock(), text)
}

/// Writes to stdout, in one line of JSON, why there is no result: for the program that reads it.
pub(crate) fn failure(reason: impl Display) {
    // It is on stderr already, and the exit code says that it failed.
    let _ = result(serde_json::json!({ "error": reason.to_string() }));
}

/// Writes a line to stderr, for people. The work goes on where nobody can read it.
pub(crate) fn note(text: impl Display) {
    // There is no place left to report it to.
    let _ = writeln!(io::stderr(), "{text}");
}

fn written(to: &mut impl Write, text: impl Display) -> io::Result<()> {
    match writeln!(to, "{text}").and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure_but_a_full_disk_is() {
        assert!(written(&mut Failing(ErrorKind::BrokenPipe), "text").is_ok());
        let error = written(&mut Failing(ErrorKind::StorageFull), "text").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}
