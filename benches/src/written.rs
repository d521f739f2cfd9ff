use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::append::Shape;
use crate::args;
use crate::bench::Bench;
use crate::contender::{Contender, RAW};
use crate::disk::Written;
use crate::payload::Payloads;
use crate::plot::{Mark, Plot, Scale};
use crate::raw::RawFile;
use crate::summary::{mib, rounded};
use crate::workload::Workload;

const RAW_FILE_BYTES: u64 = 64 << 20;

#[derive(Args)]
pub(crate) struct Options {
    /// Entries and payload bytes of one append.
    #[arg(long, value_name = "ENTRIESxBYTES", default_value = "64x256")]
    shape: Shape,
    /// How much payload to append, in MiB.
    #[arg(long, default_value_t = 512, value_parser = args::number::<u64>(1..=1 << 30))]
    mib: u64,
    /// How much of the log's end to keep while purging, in MiB; nothing is purged unless given.
    #[arg(long, value_parser = args::number::<u64>(1..=1 << 30))]
    keep_mib: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    path: &'static str,
    entries: u64,
    bytes: usize,
    payload_mib: f64,
    kept_mib: Option<u64>,
    /// Bytes that were given to write calls, for each byte of payload: from before the log was made until it was closed
    /// and everything synced, as those below.
    given_per_payload: f64,
    /// Bytes that went to the disk, of all processes, in whole blocks: one that ends in the middle of a commit is written
    /// again by the next. `null` where the kernel does not say.
    to_disk_per_payload: Option<f64>,
    /// `write_bytes` of `/proc/self/io`. Counts whole folios of the page cache: where these are large, many times what
    /// is written.
    dirtied_per_payload: f64,
}

impl Workload for Options {
    type Row = Row;

    fn measure(&self, bench: &Bench) -> Result<Vec<Row>> {
        let dir = bench.folder()?;
        // It is there before anything is counted.
        let raw = RawFile::create(&dir.path().join(RAW), RAW_FILE_BYTES, self.shape.bytes)?;
        let mut rows = vec![self.measure_one(bench, || Ok(Contender::raw(raw)))?];
        for candidate in &bench.candidates {
            for path in candidate.paths() {
                let dir = bench.folder()?;
                rows.push(self.measure_one(bench, || Contender::on(path, candidate, dir.path()))?);
            }
        }
        Ok(rows)
    }

    fn plots(rows: &[Row]) -> Vec<Plot> {
        let mark = |row: &Row| {
            let written = row.to_disk_per_payload.unwrap_or(row.given_per_payload);
            Mark::new(
                row.backend,
                row.path,
                format!("{} x {} B", row.entries, row.bytes),
                written,
                None,
            )
        };
        vec![Plot {
            title: "bytes written to the disk per byte of payload".into(),
            cases: "",
            scale: Scale::Log,
            line: Some(1.0),
            marks: rows.iter().map(mark).collect(),
        }]
    }
}

impl Options {
    fn measure_one(&self, bench: &Bench, open: impl FnOnce() -> Result<Contender>) -> Result<Row> {
        let mut one = open()?;
        // What a new log writes before its first append is no part of the load.
        let before = Written::look(&bench.base)?;
        let Shape { entries, bytes } = self.shape;
        let mut payloads = Payloads::new(bytes);
        let mut payload = 0;
        while payload < self.mib << 20 {
            let appends = one.next_entries(&mut payloads, 1, entries, bytes);
            one.log().append(appends)?;
            payload += self.shape.size();
            if let Some(keep) = self.keep_mib {
                one.purge_behind(keep, bytes)?;
            }
        }
        let (backend, path) = (one.backend, one.path);
        one.finish()?;
        let written = Written::look(&bench.base)?.since(before);
        let per_payload = |bytes: u64| rounded(bytes as f64 / payload as f64);
        Ok(Row {
            backend,
            path,
            entries,
            bytes,
            payload_mib: mib(payload),
            kept_mib: self.keep_mib,
            given_per_payload: per_payload(written.given),
            to_disk_per_payload: written.to_disk.map(per_payload),
            dirtied_per_payload: per_payload(written.dirtied),
        })
    }
}
