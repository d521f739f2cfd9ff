//! The arrows between the crates of this workspace, checked against `cargo metadata`.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand};

/// Every member, and the members that it may use (dev-dependencies aside).
const ARROWS: [(&str, &[&str]); 20] = [
    (CORE, &[]),
    ("raft-logstore-pipeline", &[CORE]),
    (FRAMES, &[CORE]),
    ("raft-logstore-kv", &[CORE, FRAMES]),
    ("raft-logstore-redb", &[CORE, "raft-logstore-kv"]),
    ("raft-logstore-heed", &[CORE, "raft-logstore-kv"]),
    ("raft-logstore-fjall", &[CORE, FRAMES, "raft-logstore-kv"]),
    ("raft-logstore-wal", &[CORE, FRAMES]),
    (ADAPTER, &[CORE]),
    ("raft-logstore-openraft", &[CORE, ADAPTER]),
    ("raft-logstore-openraft-0-9", &[CORE, ADAPTER]),
    (
        "raft-logstore-conformance",
        &[CORE, "raft-logstore-pipeline", INTERRUPT],
    ),
    (INTERRUPT, &[]),
    (
        "raft-logstore",
        &[
            CORE,
            "raft-logstore-pipeline",
            "raft-logstore-kv",
            "raft-logstore-redb",
            "raft-logstore-heed",
            "raft-logstore-fjall",
            "raft-logstore-wal",
            "raft-logstore-openraft",
            "raft-logstore-openraft-0-9",
        ],
    ),
    ("raft-logstore-cli", &["raft-logstore", INTERRUPT]),
    ("raft-logstore-examples", &["raft-logstore"]),
    ("custom-backend", &[CORE, "raft-logstore-kv"]),
    ("raft-logstore-bench", &["raft-logstore"]),
    ("raft-logstore-bench-openraft", &["raft-logstore"]),
    (
        "raft-logstore-fuzz-checks",
        &["raft-logstore", "raft-logstore-conformance", INTERRUPT],
    ),
];

const CORE: &str = "raft-logstore-core";
const FRAMES: &str = "raft-logstore-frames";
const ADAPTER: &str = "raft-logstore-adapter";
const INTERRUPT: &str = "raft-logstore-interrupt";

/// What must not be anywhere below core, nor below what the adapters share.
const NOT_BELOW: [(&str, &[&str]); 3] = [
    (
        "an async runtime",
        &[
            "async-executor",
            "async-global-executor",
            "async-std",
            "compio",
            "futures-executor",
            "glommio",
            "monoio",
            "smol",
            "tokio",
            "tokio-uring",
        ],
    ),
    (
        "a Raft library",
        &["openraft", "raft", "raft-engine", "raft-proto", "tikv-raft"],
    ),
    (
        "an engine",
        &[
            "fjall",
            "heed",
            "libmdbx",
            "lmdb",
            "lmdb-master-sys",
            "redb",
            "rocksdb",
            "rusqlite",
            "sled",
        ],
    ),
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .exec()
        .unwrap()
}

/// Dependencies that end up in what a user builds.
fn is_shipped(kind: DependencyKind) -> bool {
    matches!(kind, DependencyKind::Normal | DependencyKind::Build)
}

#[test]
fn every_dependency_between_members_is_an_allowed_arrow() {
    let metadata = metadata();
    let arrows: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let members = metadata.workspace_packages();
    let names: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    for member in &members {
        let name = member.name.as_str();
        let Some(allowed) = arrows.get(name) else {
            panic!("{name} is not in the table ARROWS of this test: add it with what it may use");
        };
        for dependency in &member.dependencies {
            let used = dependency.name.as_str();
            if is_shipped(dependency.kind) && names.contains(used) {
                assert!(
                    allowed.contains(&used),
                    "{name} uses {used}; it may use {allowed:?}"
                );
            }
        }
    }
}

#[test]
fn nothing_below_core_and_below_the_adapters_is_a_runtime_a_raft_library_or_an_engine() {
    let metadata = metadata();
    for member in [CORE, ADAPTER] {
        let names = below(&metadata, member);
        assert!(names.contains("bytes"), "the walk found nothing: {names:?}");
        for (what, packages) in NOT_BELOW {
            for package in packages {
                assert!(
                    !names.contains(package),
                    "{member} depends on {what}: {package}"
                );
            }
        }
    }
}

/// The names of every package that a member ships with.
fn below<'a>(metadata: &'a Metadata, member: &str) -> BTreeSet<&'a str> {
    let resolve = metadata
        .resolve
        .as_ref()
        .expect("cargo metadata resolves dependencies");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let member = metadata
        .packages
        .iter()
        .find(|package| package.name == member)
        .unwrap();

    let mut below = BTreeSet::new();
    let mut todo = vec![&member.id];
    while let Some(id) = todo.pop() {
        let shipped = nodes[id].deps.iter().filter(|dependency| {
            dependency
                .dep_kinds
                .iter()
                .any(|kind| is_shipped(kind.kind))
        });
        todo.extend(
            shipped
                .map(|dependency| &dependency.pkg)
                .filter(|id| below.insert(*id)),
        );
    }
    below
        .into_iter()
        .map(|id| metadata[id].name.as_str())
        .collect()
}

/// What compiles or looks for C.
const BUILDS_C: [&str; 6] = ["autotools", "bindgen", "cc", "cmake", "pkg-config", "vcpkg"];

#[test]
fn the_default_build_needs_no_c_compiler() {
    let below = |features: &[&str]| -> BTreeSet<String> {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--package",
                "raft-logstore",
                "--edges",
                "normal,build",
            ])
            .args(["--prefix", "none", "--format", "{p}", "--offline"])
            .args(features)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let packages = String::from_utf8(output.stdout).unwrap();
        let names = packages.lines().filter_map(|line| line.split(' ').next());
        names.map(str::to_owned).collect()
    };
    let default = below(&[]);
    assert!(
        default.contains("redb"),
        "the walk found nothing: {default:?}"
    );
    for package in BUILDS_C {
        assert!(
            !default.contains(package),
            "the default build needs {package}"
        );
    }
    // The one engine that needs it is found by the same walk.
    assert!(below(&["--features", "heed"]).contains("cc"));
}
