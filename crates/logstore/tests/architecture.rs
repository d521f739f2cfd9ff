//! The arrows between the crates of this workspace, checked against `cargo metadata`.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand};

/// Every member, and the members that it may use (dev-dependencies aside).
const ARROWS: [(&str, &[&str]); 11] = [
    (CORE, &[]),
    ("raft-logstore-pipeline", &[CORE]),
    ("raft-logstore-kv", &[CORE]),
    ("raft-logstore-redb", &[CORE, "raft-logstore-kv"]),
    ("raft-logstore-openraft", &[CORE]),
    (
        "raft-logstore-conformance",
        &[CORE, "raft-logstore-pipeline"],
    ),
    (
        "raft-logstore",
        &[
            CORE,
            "raft-logstore-pipeline",
            "raft-logstore-kv",
            "raft-logstore-redb",
            "raft-logstore-openraft",
        ],
    ),
    ("raft-logstore-cli", &["raft-logstore"]),
    ("raft-logstore-examples", &["raft-logstore"]),
    ("custom-backend", &[CORE, "raft-logstore-kv"]),
    ("raft-logstore-bench", &["raft-logstore"]),
];

const CORE: &str = "raft-logstore-core";

/// What must not be anywhere below core.
const NOT_BELOW_CORE: [(&str, &[&str]); 3] = [
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
fn nothing_below_core_is_a_runtime_a_raft_library_or_an_engine() {
    let metadata = metadata();
    let resolve = metadata
        .resolve
        .as_ref()
        .expect("cargo metadata resolves dependencies");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let core = metadata
        .packages
        .iter()
        .find(|package| package.name == CORE)
        .unwrap();

    let mut below = BTreeSet::new();
    let mut todo = vec![&core.id];
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

    let names: BTreeSet<&str> = below.iter().map(|id| metadata[id].name.as_str()).collect();
    assert!(names.contains("bytes"), "the walk found nothing: {names:?}");
    for (what, packages) in NOT_BELOW_CORE {
        for package in packages {
            assert!(
                !names.contains(package),
                "core depends on {what}: {package}"
            );
        }
    }
}
