//! What a store makes of files that are not as it left them.

use crate::damage::{Ending, Examination, Flips, Harm, History, Verdict};
use crate::law::law;
use crate::payload::payload;
use crate::setting::ON_DISK;
use crate::violation::ensure;
use crate::{Feature, Law, LawResult, TestBed, View, Violation};

pub(crate) const LAWS: &[Law] = &[
    law!(14, a_flipped_bit_is_reported_or_harmless, needs [Feature::Disk, Feature::Reopen], in ON_DISK),
    law!(14, a_lost_file_is_reported_or_harmless, needs [Feature::Disk, Feature::Reopen], in ON_DISK),
    law!(14, a_cut_file_is_reported_or_harmless, needs [Feature::Disk, Feature::Reopen], in ON_DISK),
    law!(14, foreign_bytes_are_reported_or_harmless, needs [Feature::Disk, Feature::Reopen], in ON_DISK),
];

/// Which history the laws damage.
const SEED: u64 = 14;

/// How many bits are flipped.
const FLIPS: usize = 120;

/// Law 14. One flipped bit, anywhere in the files of a store in which everything is acknowledged: the
/// store shows all of it and goes on, or says in a typed error what is damaged. Never a log that is
/// shorter, other bytes, an older vote, a panic or a process that died.
///
/// Bits rot, and of two published Rust log engines each lost acknowledged entries without an error
/// after one had flipped.
pub fn a_flipped_bit_is_reported_or_harmless(bed: &TestBed<'_>) -> LawResult {
    let mut store = examination(bed)?;
    let mut flips = Flips::new(store.image(), SEED);
    check(bed, &mut store, (0..FLIPS).map(|_| flips.next()).collect())
}

/// Law 14. The same for a file or a folder that is gone. A store whose data went missing is not a new
/// one.
pub fn a_lost_file_is_reported_or_harmless(bed: &TestBed<'_>) -> LawResult {
    let mut store = examination(bed)?;
    let files = store.image().files().map(|(file, _)| file);
    let harms = files
        .chain(store.image().folders())
        .map(|path| Harm::Loss {
            path: path.to_owned(),
        })
        .collect();
    check(bed, &mut store, harms)
}

/// Law 14. The same for a file that ends too early.
///
/// A missing tail is what a torn write leaves as well; what was acknowledged tells them apart.
pub fn a_cut_file_is_reported_or_harmless(bed: &TestBed<'_>) -> LawResult {
    let mut store = examination(bed)?;
    let mut harms = Vec::new();
    for (file, bytes) in store.image().files() {
        let (parts, bytes) = (4, bytes.len() as u64);
        let lens = (0..parts).map(|part| bytes * part / parts);
        let lens = lens.chain(bytes.checked_sub(1));
        harms.extend(lens.map(|len| Harm::Cut {
            file: file.to_owned(),
            len,
        }));
    }
    harms.dedup();
    check(bed, &mut store, harms)
}

/// Law 14. The same for zeros, or bytes that nobody wrote, in place of what was stored or behind it.
///
/// Zeros are what a lost page is read as; other bytes come from a write that went astray.
pub fn foreign_bytes_are_reported_or_harmless(bed: &TestBed<'_>) -> LawResult {
    /// Each gets a page of something else, in so many places.
    const PLACES: u64 = 3;
    const PAGE: usize = 4096;
    let mut store = examination(bed)?;
    let mut harms = Vec::new();
    for (file, stored) in store.image().files() {
        let mut overwrite = |at, bytes| {
            let file = file.to_owned();
            harms.push(Harm::Overwrite { file, at, bytes });
        };
        for place in 0..PLACES {
            let at = stored.len() as u64 * place / PLACES;
            overwrite(at, vec![0; PAGE.min(stored.len())]);
            overwrite(at, payload(at, SEED, 100).into());
        }
        overwrite(0, vec![0; stored.len()]);
        overwrite(0, payload(0, SEED, stored.len()).into());
        overwrite(stored.len() as u64, payload(1, SEED, PAGE).into());
    }
    check(bed, &mut store, harms)
}

fn examination<'a>(bed: &TestBed<'a>) -> LawResult<Examination<'a>> {
    let ending = match bed.setting().view {
        View::Killed => Ending::Killed,
        _ => Ending::Closed,
    };
    let history = History::new(bed.subject(), SEED);
    Examination::of(bed.subject(), history, ending, bed.deadline())
}

/// Does each harm to a store of its own, and judges it. A store that refuses to open must also leave
/// everything else as it was, unless it says that it does not: with the harm undone, all is there again.
fn check(bed: &TestBed<'_>, store: &mut Examination<'_>, harms: Vec<Harm>) -> LawResult {
    ensure!(
        !harms.is_empty(),
        "the store has no files that could be damaged"
    );
    let mut reported = 0;
    for harm in harms {
        let verdict = store.harmed(&harm)?;
        ensure!(verdict.is_lawful(), "{harm}: {verdict:?}");
        reported += u32::from(verdict != Verdict::Unharmed);
        if let Verdict::Refused(said) = verdict
            && bed.has(Feature::UntouchedRest)
        {
            let verdict = store.undone(&harm)?;
            ensure!(
                verdict == Verdict::Unharmed,
                "{harm}, which was refused ({said}), then undone: {verdict:?}"
            );
        }
    }
    if reported == 0 {
        return Err(Violation::new("no damage was found by the store at all"));
    }
    Ok(())
}
