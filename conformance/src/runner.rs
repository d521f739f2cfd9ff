use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::law::DEADLINE;
use crate::laws::laws;
use crate::second_process::{self, OPEN_ENV};
use crate::{Law, Setting, Subject};

/// Checks every law against a kind of store: the whole `main` of a test with `harness = false`.
///
/// Takes the command line of `cargo test`: a filter, `--list`, `--ignored`, `--test-threads`. Each
/// case is named `law::setting`. A case that does not apply is ignored, with the reason in brackets
/// before its name.
pub fn main(subject: impl Subject) -> ExitCode {
    if let Some(dir) = env::var_os(OPEN_ENV) {
        return answer(&subject, dir);
    }
    libtest_mimic::run(&Arguments::from_args(), trials(Arc::new(subject))).exit_code()
}

/// The cases [`main`] runs, for a `main` of one's own.
///
/// The law `a_second_open_from_another_process_is_refused` starts the program again to be the other process, and expects
/// [`main`] to be what runs there.
pub fn trials(subject: Arc<dyn Subject>) -> Vec<Trial> {
    let cases = laws().flat_map(|law| law.settings.iter().map(move |setting| (law, *setting)));
    cases
        .map(|(law, setting)| trial(Arc::clone(&subject), law, setting))
        .collect()
}

fn trial(subject: Arc<dyn Subject>, law: Law, setting: Setting) -> Trial {
    let name = format!("{}::{setting}", law.name);
    match law.ignored_because(subject.as_ref(), setting) {
        Some(reason) => {
            // Also with `--ignored`: what cannot be checked is never passed.
            let skip = move || Ok(Completion::ignored_with(reason));
            Trial::ignorable_test(name, skip)
                .with_kind(reason)
                .with_ignored_flag(true)
        }
        None => Trial::test(name, move || {
            law.check(subject.as_ref(), setting, DEADLINE)
                .map_err(|violation| Failed::from(format!("{law:?} is broken\n{violation}")))
        }),
    }
}

/// Being the other process: tries to open the directory and says what came of it.
fn answer(subject: &dyn Subject, dir: OsString) -> ExitCode {
    subject.within(&mut || second_process::answer(subject, Path::new(&dir)));
    ExitCode::SUCCESS
}
