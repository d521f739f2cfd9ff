//! What a URI opens, and what it says when it cannot.

use raft_logstore::{Entry, ErrorKind, GroupId, LogStoreExt, StoreConfig, Target, open, open_with};
use rstest::rstest;

/// The error of a URI, which must be a `Config` error.
fn refused(uri: &str) -> String {
    let error = uri.parse::<Target>().expect_err("the URI was accepted");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.to_string()
}

#[tokio::test]
async fn every_memory_store_is_a_new_one() {
    let first = open("memory:").await.unwrap();
    let group = first.group(GroupId(1));
    group
        .append_durable(vec![Entry::new(1, "a")])
        .await
        .unwrap();

    let second = open("memory:").await.unwrap();
    assert_eq!(second.groups().await.unwrap(), []);
    assert_eq!(group.last_index().await.unwrap(), Some(1));
}

#[tokio::test]
async fn the_store_config_is_applied() {
    let config = StoreConfig {
        max_entry_bytes: 10,
        ..StoreConfig::default()
    };
    let store = open_with("memory:", config).await.unwrap();
    let large = vec![Entry::new(1, vec![0; 11])];
    let error = store
        .group(GroupId(1))
        .append_durable(large)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[rstest]
#[case::empty("", "scheme:path")]
#[case::no_scheme("/var/lib/raft", "scheme:path")]
#[case::unknown_scheme("floppy:/a", "memory:")]
#[case::no_scheme_name(":/a", "memory:")]
#[case::wrong_case("MEMORY:", "memory:")]
#[case::memory_with_a_path("memory:/a", "no path")]
#[case::memory_with_an_option("memory:?a=b", "it takes none")]
#[case::control_characters("memory:\0", "control characters")]
fn a_uri_that_is_not_valid_is_a_config_error_with_advice(#[case] uri: &str, #[case] says: &str) {
    let message = refused(uri);
    assert!(message.contains(says), "{message}");
}

#[rstest]
#[case::long("memory:".to_owned() + &"x".repeat(10 << 20))]
#[case::long_scheme("x".repeat(4000) + ":/a")]
#[case::many_options("memory:?".to_owned() + &"&".repeat(4000))]
#[case::text_direction("\u{202e}:/a".to_owned())]
fn a_hostile_uri_is_a_short_config_error(#[case] uri: String) {
    let message = refused(&uri);
    assert!(message.len() < 400, "{} bytes", message.len());
}

#[test]
#[cfg(not(feature = "redb"))]
fn a_scheme_that_is_off_names_its_feature() {
    let message = refused("redb:/data");
    assert!(message.contains("feature `redb`"), "{message}");
    assert!(message.contains("This build has memory:"), "{message}");
}

#[test]
#[cfg(not(feature = "heed"))]
fn the_scheme_of_lmdb_that_is_off_names_its_feature() {
    let message = refused("heed:/data");
    assert!(message.contains("feature `heed`"), "{message}");
}

#[cfg(feature = "heed")]
mod heed {
    use std::path::Path;

    use raft_logstore::heed::HeedConfig;

    use super::*;

    #[tokio::test]
    async fn a_heed_store_keeps_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let uri = format!("heed:{}?map_size=1MiB", dir.path().join("store").display());
        let store = open(&uri).await.unwrap();
        store
            .group(GroupId(7))
            .append_durable(vec![Entry::new(1, "a")])
            .await
            .unwrap();
        store.close().await.unwrap();

        let inspection = uri.parse::<Target>().unwrap().inspect().unwrap();
        drop(inspection);
        let store = open(&uri).await.unwrap();
        assert_eq!(store.groups().await.unwrap(), [GroupId(7)]);
        let entry = store.group(GroupId(7)).entry(1).await.unwrap();
        assert_eq!(entry, Some(Entry::new(1, "a")));
        store.close().await.unwrap();
    }

    #[test]
    fn options_reach_the_engine() {
        let uri = "heed:/path?map_size=16GiB&max_map_size=64GiB&check_integrity_on_open=false\
                   &compact_on_close=false";
        let Ok(Target::Heed { path, config }) = uri.parse() else {
            panic!("not a heed target")
        };
        assert_eq!(path, Path::new("/path"));
        let expected = HeedConfig::default()
            .with_map_size(16 << 30)
            .with_max_map_size(64 << 30)
            .with_check_integrity_on_open(false)
            .with_compact_on_close(false);
        assert_eq!(config, expected);
    }

    #[rstest]
    #[case::no_path("heed:", "needs a path")]
    #[case::unknown_option("heed:a?cache_bytes=1MiB", "map_size, max_map_size")]
    #[case::not_a_size("heed:a?map_size=lots", "not a number")]
    fn what_is_wrong_is_said(#[case] uri: &str, #[case] says: &str) {
        let message = refused(uri);
        assert!(message.contains(says), "{message}");
    }
}

#[cfg(feature = "redb")]
mod redb {
    use std::path::Path;

    use raft_logstore::redb::RedbConfig;

    use super::*;

    #[tokio::test]
    async fn a_redb_store_keeps_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let uri = format!(
            "redb:{}?cache_bytes=1MiB",
            dir.path().join("store").display()
        );
        let store = open(&uri).await.unwrap();
        store
            .group(GroupId(7))
            .append_durable(vec![Entry::new(1, "a")])
            .await
            .unwrap();
        store.close().await.unwrap();

        let store = open(&uri).await.unwrap();
        assert_eq!(store.groups().await.unwrap(), [GroupId(7)]);
        let entry = store.group(GroupId(7)).entry(1).await.unwrap();
        assert_eq!(entry, Some(Entry::new(1, "a")));
        store.close().await.unwrap();
    }

    #[rstest]
    #[case::absolute("redb:/var/lib/raft", "/var/lib/raft")]
    #[case::relative("redb:data/raft", "data/raft")]
    #[case::dotted("redb:./raft", "./raft")]
    #[case::with_a_colon("redb:a:b", "a:b")]
    #[case::not_decoded("redb:/a%20b", "/a%20b")]
    fn a_path_is_taken_as_it_is(#[case] uri: &str, #[case] expected: &str) {
        let Ok(Target::Redb { path, config }) = uri.parse() else {
            panic!("not a redb target")
        };
        assert_eq!(path, Path::new(expected));
        assert_eq!(config, RedbConfig::default());
    }

    #[test]
    fn options_reach_the_engine() {
        let uri = "redb:a?cache_bytes=2GiB&two_phase_commit=true&check_integrity_on_open=true\
                   &compact_on_close=false";
        let Ok(Target::Redb { config, .. }) = uri.parse() else {
            panic!("not a redb target")
        };
        let expected = RedbConfig::default()
            .with_cache_bytes(2 << 30)
            .with_two_phase_commit(true)
            .with_check_integrity_on_open(true)
            .with_compact_on_close(false);
        assert_eq!(config, expected);
    }

    #[rstest]
    #[case::plain("4096", 4096)]
    #[case::kib("4KiB", 4096)]
    #[case::mib("3MiB", 3 << 20)]
    fn sizes_are_plain_or_have_a_unit(#[case] size: &str, #[case] expected: u64) {
        let uri = format!("redb:a?cache_bytes={size}");
        let Ok(Target::Redb { config, .. }) = uri.parse() else {
            panic!("not a redb target")
        };
        assert_eq!(config.cache_bytes, expected);
    }

    #[rstest]
    #[case::no_path("redb:", "needs a path")]
    #[case::a_host("redb://data/raft", "looks like a host")]
    #[case::unknown_option("redb:a?cash=1", "cache_bytes, two_phase_commit")]
    #[case::no_value("redb:a?cache_bytes", "key=value")]
    #[case::no_option("redb:a?", "key=value")]
    #[case::given_twice("redb:a?compact_on_close=true&compact_on_close=true", "twice")]
    #[case::not_a_size("redb:a?cache_bytes=lots", "not a number")]
    #[case::negative("redb:a?cache_bytes=-1", "not a number")]
    #[case::too_big_a_size("redb:a?cache_bytes=18446744073709551615GiB", "not a number")]
    #[case::no_number("redb:a?cache_bytes=GiB", "not a number")]
    #[case::not_a_switch("redb:a?two_phase_commit=yes", "true or false")]
    fn what_is_wrong_is_said(#[case] uri: &str, #[case] says: &str) {
        let message = refused(uri);
        assert!(message.contains(says), "{message}");
    }

    #[tokio::test]
    async fn a_path_the_system_refuses_is_an_error() {
        let uri = format!("redb:/{}", "x".repeat(4000));
        open(&uri).await.unwrap_err();
    }
}

#[test]
#[cfg(not(feature = "fjall"))]
fn the_scheme_of_fjall_names_its_feature_when_it_is_off() {
    let message = refused("fjall:/data");
    assert!(message.contains("feature `fjall`"), "{message}");
}

#[cfg(feature = "fjall")]
mod fjall {
    use std::path::Path;

    use raft_logstore::fjall::FjallConfig;

    use super::*;

    #[tokio::test]
    async fn a_fjall_store_keeps_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let uri = format!(
            "fjall:{}?cache_bytes=1MiB",
            dir.path().join("store").display()
        );
        let store = open(&uri).await.unwrap();
        store
            .group(GroupId(7))
            .append_durable(vec![Entry::new(1, "a")])
            .await
            .unwrap();
        store.close().await.unwrap();

        let store = open(&uri).await.unwrap();
        let entry = store.group(GroupId(7)).entry(1).await.unwrap();
        assert_eq!(entry, Some(Entry::new(1, "a")));
        store.close().await.unwrap();
    }

    #[test]
    fn options_reach_the_engine() {
        let uri = "fjall:a?cache_bytes=2GiB&journal_bytes=256MiB&memtable_bytes=32MiB\
                   &compact_on_close=false";
        let Ok(Target::Fjall { path, config }) = uri.parse() else {
            panic!("not a fjall target")
        };
        let expected = FjallConfig::default()
            .with_cache_bytes(2 << 30)
            .with_journal_bytes(256 << 20)
            .with_memtable_bytes(32 << 20)
            .with_compact_on_close(false);
        assert_eq!((&*path, config), (Path::new("a"), expected));
    }

    #[test]
    fn an_unknown_option_is_refused_by_naming_the_known_ones() {
        let message = refused("fjall:a?cash=1");
        assert!(message.contains("cache_bytes, journal_bytes"), "{message}");
    }
}
