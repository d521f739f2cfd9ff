//! The fuzz targets on stable Rust: over the inputs that are kept in `fuzz/corpus`, and with random ones.

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};
use raft_logstore_fuzz_checks::targets::{self, Target};

fn main() -> ExitCode {
    let trials = targets::ALL.into_iter().flat_map(|(name, target, cases)| {
        let kept = move || Ok(over_the_corpus(name, target)?);
        let random = move || with_random_input(target, cases);
        [
            Trial::test(format!("the_kept_inputs_of::{name}"), kept),
            Trial::test(format!("random_inputs_of::{name}"), random),
        ]
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn over_the_corpus(name: &str, target: Target) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(name);
    let files = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut count = 0;
    for file in files {
        let path = file.map_err(|error| error.to_string())?.path();
        println!("{}", path.display());
        target(&fs::read(&path).map_err(|error| error.to_string())?);
        count += 1;
    }
    if count == 0 {
        return Err(format!("{} is empty", folder.display()));
    }
    Ok(())
}

fn with_random_input(target: Target, cases: u32) -> Result<(), Failed> {
    let mut config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    // The panic of a target is caught by the runner, which then looks for a smaller input.
    TestRunner::new(config)
        .run(&vec(any::<u8>(), 0..400), |input| {
            target(&input);
            Ok(())
        })
        .map_err(|failure| Failed::from(failure.to_string()))
}
