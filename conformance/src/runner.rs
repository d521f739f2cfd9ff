use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::law::DEADLINE;
use crate::laws::laws;
use crate::{Law, Setting, Subject, second_process};

/// Checks every law against a kind of store: the whole `main` of a test with `harness = false`.
///
/// Takes the command line of `cargo test`: a filter, `--list`, `--ignored`, `--test-threads`. Each
/// case is named `law::setting`. A case that does not apply is ignored, with the reason in brackets
/// before its name.
pub fn main(subject: impl Subject) -> ExitCode {
    if second_process::variant().is_some() {
        return second_process::serve(&subject);
    }
    libtest_mimic::run(&Arguments::from_args(), trials(Arc::new(subject))).exit_code()
}

/// The cases [`main`] runs, for a `main` of one's own.
///
/// Some laws start the program again to be another process: where [`second_process::variant`] says so, call
/// [`second_process::serve`] and end, as [`main`] does.
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
