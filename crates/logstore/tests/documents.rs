//! The documents say what is there.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Every Markdown file of the project.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![workspace()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    assert!(found.len() >= 5, "{found:?}");
    found
}

#[test]
fn the_program_of_the_readme_is_the_quickstart() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let (before, rest) = readme
        .split_once("```rust\n")
        .expect("the README shows a program");
    let (program, _) = rest.split_once("```\n").expect("the program ends");
    assert!(
        before.lines().count() < 15,
        "the program is on the first screen"
    );

    let example = fs::read_to_string(workspace().join("examples/quickstart.rs")).unwrap();
    let (_, code) = example
        .split_once("\n\n")
        .expect("the example starts with a comment");
    assert_eq!(program, code);
}

#[test]
fn every_relative_link_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for target in text
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap())
        {
            let file = target.split('#').next().unwrap();
            let is_relative = !file.is_empty() && !target.contains("://");
            let exists = document.parent().unwrap().join(file).exists();
            assert!(
                !is_relative || exists,
                "{}: {target} is not there",
                document.display()
            );
        }
    }
}
