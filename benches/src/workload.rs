use anyhow::Result;
use serde::Serialize;

use crate::bench::Bench;
use crate::plot::Plot;

/// One kind of measurement: its options, what it measures, and how that is drawn.
pub(crate) trait Workload {
    /// One line of the result.
    type Row: Serialize;

    /// Takes the measurement.
    fn measure(&self, bench: &Bench) -> Result<Vec<Self::Row>>;

    /// The pictures of the result.
    fn plots(rows: &[Self::Row]) -> Vec<Plot>;
}
