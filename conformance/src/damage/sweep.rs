use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::damage::{Ending, Examination, Harm, History, Image, Verdict};
use crate::law::DEADLINE;
use crate::payload::Mix;
use crate::{LawResult, Subject, interrupt};

/// What a [`sweep`] does.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the report calls the kind of store.
    pub backend: String,
    /// How many bits are flipped, one at a time: half of them in stores that were closed, half in stores
    /// that were killed, and of each half one half in a small store and one in a store of more than 1 MiB.
    pub flips: u64,
    /// Which history is written, and which bits are flipped.
    pub seed: u64,
}

/// What came of a [`sweep`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The kind of store.
    pub backend: String,
    /// Bits flipped, one at a time.
    pub flips: u64,
    /// All that was acknowledged was there, and the store went on.
    pub ok: u64,
    /// A typed error said that the store is damaged.
    pub typed_errors: u64,
    /// Something acknowledged was missing, and no error said so.
    pub lost: u64,
    /// Something was shown that was never written.
    pub corrupt: u64,
    /// The store panicked, died, hung, or returned an error that is not about damage.
    pub panics: u64,
    /// Each flip that law 14 does not allow, and what came of it.
    pub violations: Vec<String>,
}

impl Report {
    /// Whether law 14 was kept.
    pub fn is_lawful(&self) -> bool {
        self.lost + self.corrupt + self.panics == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} flips, {} ok, {} typed errors, {} lost, {} corrupt, {} panics",
            self.backend,
            self.flips,
            self.ok,
            self.typed_errors,
            self.lost,
            self.corrupt,
            self.panics
        )?;
        self.violations
            .iter()
            .try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// Flips bits of a store in which everything is acknowledged, one at a time, and counts what the store
/// makes of each. `progress` is called with the number of flips done.
///
/// The program is started again to do the looking: its `main` must begin with
/// [`second_process::variant`](crate::second_process::variant).
///
/// # Errors
///
/// When the suite itself cannot, the program is [interrupted](crate::interrupt), or the store is wrong before any harm
/// was done.
pub fn sweep(
    subject: &dyn Subject,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> LawResult<Report> {
    let mut report = Report {
        backend: options.backend.clone(),
        ..Report::default()
    };
    let mut swept = Ok(());
    subject.within(&mut || swept = sweep_all(subject, options, &mut report, progress));
    swept.map(|()| report)
}

/// A store with much in it is laid out in other ways than one with little.
const LONG_ENTRIES: [u64; 2] = [4, 160];

fn sweep_all(
    subject: &dyn Subject,
    options: &Options,
    report: &mut Report,
    progress: &mut dyn FnMut(u64),
) -> LawResult {
    let mut left = options.flips;
    let endings = [Ending::Closed, Ending::Killed];
    let stores = LONG_ENTRIES
        .into_iter()
        .flat_map(|long| endings.map(|ending| (long, ending)));
    for (done, (long_entries, ending)) in (0..).zip(stores) {
        let history = History::new(subject, options.seed).with_long_entries(long_entries);
        let mut store = Examination::of(subject, history, ending, DEADLINE)?;
        let mut bits = Flips::new(store.image(), options.seed ^ done);
        let flips = left / (4 - done);
        for _ in 0..flips {
            interrupt::check()?;
            let harm = bits.next();
            report.count(&harm, ending, store.harmed(&harm)?);
            progress(report.flips);
        }
        left -= flips;
    }
    Ok(())
}

impl Report {
    fn count(&mut self, harm: &Harm, ending: Ending, verdict: Verdict) {
        self.flips += 1;
        let (counter, said) = match verdict {
            Verdict::Unharmed => (&mut self.ok, None),
            Verdict::Refused(_) | Verdict::Reported(_) => (&mut self.typed_errors, None),
            Verdict::Lost(said) => (&mut self.lost, Some(said)),
            Verdict::Corrupt(said) => (&mut self.corrupt, Some(said)),
            Verdict::Broken(said) => (&mut self.panics, Some(said)),
        };
        *counter += 1;
        let said = said.map(|said| format!("{ending:?}, {harm}: {said}"));
        self.violations.extend(said);
    }
}

/// Bits to flip, without end, in all files of an image. Three of four are anywhere, so that most lie in
/// the largest files; for the fourth the file is picked first.
pub(crate) struct Flips {
    files: Vec<(PathBuf, u64)>,
    bits: u64,
    mix: Mix,
}

impl Flips {
    pub(crate) fn new(image: &Image, seed: u64) -> Self {
        let files: Vec<_> = image
            .files()
            .filter(|(_, bytes)| !bytes.is_empty())
            .map(|(name, bytes)| (name.to_owned(), 8 * bytes.len() as u64))
            .collect();
        Self {
            bits: files.iter().map(|(_, bits)| bits).sum(),
            files,
            mix: Mix::new(seed),
        }
    }

    pub(crate) fn next(&mut self) -> Harm {
        if self.mix.below(4) == 0 {
            let (file, bits) = &self.files[self.mix.below(self.files.len() as u64) as usize];
            return Harm::Flip {
                file: file.clone(),
                bit: self.mix.below(*bits),
            };
        }
        let mut bit = self.mix.below(self.bits);
        for (file, bits) in &self.files {
            if bit < *bits {
                let file = file.clone();
                return Harm::Flip { file, bit };
            }
            bit -= bits;
        }
        unreachable!("a bit below the sum of all bits lies in one of the files")
    }
}
