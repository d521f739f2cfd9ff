use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::bench::Bench;
use crate::plot::Plot;
use crate::workload::Workload;

/// What a workload came to.
#[derive(Serialize)]
pub(crate) struct Section {
    pub(crate) rows: Vec<Map<String, Value>>,
    #[serde(skip)]
    pub(crate) plots: Vec<Plot>,
}

impl Section {
    /// Takes the measurement.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being taken.
    pub(crate) fn of<W: Workload>(workload: &W, bench: &Bench) -> Result<Self> {
        let measured = workload.measure(bench)?;
        let fields = |row| match serde_json::to_value(row)? {
            Value::Object(fields) => Ok(fields),
            other => bail!("a row is not an object: {other}"),
        };
        Ok(Self {
            rows: measured.iter().map(fields).collect::<Result<_>>()?,
            plots: W::plots(&measured),
        })
    }
}
