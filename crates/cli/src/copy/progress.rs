use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How far a copy is: a bar on stderr where that is a terminal, otherwise nothing.
pub(crate) struct Progress {
    bar: ProgressBar,
    total: u64,
}

impl Progress {
    /// So many entries are to be copied, then compared.
    pub(crate) fn new(total: u64) -> Self {
        let bar = ProgressBar::new(total);
        let style = "{msg:>9} [{bar:40}] {human_pos}/{human_len} entries, {per_sec}, {eta} left";
        bar.set_style(
            ProgressStyle::with_template(style).expect("the template of the progress bar is valid"),
        );
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, total }
    }

    /// How many entries there are.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// A pass over all entries begins.
    pub(crate) fn start(&self, what: &'static str) {
        self.bar.set_message(what);
        self.bar.set_position(0);
        self.bar.reset_eta();
    }

    /// So many more entries are done.
    pub(crate) fn add(&self, entries: u64) {
        self.bar.inc(entries);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
