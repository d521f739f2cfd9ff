//! Hostile input: each function of [`targets`] takes any bytes, makes of them what the thing under test
//! reads, and panics when that breaks a promise.
//!
//! `fuzz/fuzz_targets` runs them under cargo-fuzz, `tests/properties.rs` on stable Rust, over `fuzz/corpus` and
//! with random input.

/// Every target, by its name.
pub mod targets {
    pub mod codec;
    pub mod http;
    pub mod store;
    pub mod uri;

    /// A target: panics when a promise is broken.
    pub type Target = fn(&[u8]);

    /// The name of each, as in `fuzz_targets` and `corpus`, and how often a property test runs it with
    /// random input.
    pub const ALL: [(&str, Target, u32); 7] = [
        (
            "store_redb",
            |input| store::check(store::Engine::Redb, input),
            64,
        ),
        (
            "store_heed",
            |input| store::check(store::Engine::Heed, input),
            64,
        ),
        (
            "store_fjall",
            |input| store::check(store::Engine::Fjall, input),
            48,
        ),
        (
            "store_wal",
            |input| store::check(store::Engine::Wal, input),
            64,
        ),
        ("uri", uri::check, 4096),
        ("codec", codec::check, 4096),
        ("http", http::check, 256),
    ];
}

/// The node of the cluster example: its own files, which refer to each other from the root of their
/// program.
macro_rules! cluster {
    ($($file:literal $module:ident),* $(,)?) => {
        $(
            #[allow(dead_code, missing_docs, reason = "of a whole program, the node alone is run")]
            #[path = $file]
            mod $module;
        )*
    };
}

cluster!(
    "../../../examples/cluster/api.rs" api,
    "../../../examples/cluster/api_error.rs" api_error,
    "../../../examples/cluster/body.rs" body,
    "../../../examples/cluster/cli.rs" cli,
    "../../../examples/cluster/network.rs" network,
    "../../../examples/cluster/node.rs" node,
    "../../../examples/cluster/node_address.rs" node_address,
    "../../../examples/cluster/output.rs" output,
    "../../../examples/cluster/rpc.rs" rpc,
    "../../../examples/cluster/shutdown.rs" shutdown,
    "../../../examples/cluster/snapshot_file.rs" snapshot_file,
    "../../../examples/cluster/state.rs" state,
    "../../../examples/cluster/state_machine.rs" state_machine,
    "../../../examples/cluster/status.rs" status,
    "../../../examples/cluster/types.rs" types,
    "../../../examples/cluster/wire.rs" wire,
);
