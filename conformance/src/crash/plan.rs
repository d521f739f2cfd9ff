use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::op_log::OpLog;
use crate::payload::Mix;

/// Which crash: when the power goes, and what of the unsynced writes reaches the disk.
///
/// Its text form is `at:keep:directories:sector:seed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The power goes before this mutation of the log.
    pub(super) at: usize,
    pub(super) keep: Keep,
    pub(super) directories: Directories,
    /// What the disk writes whole: 512 or 4096 bytes.
    pub(super) sector: u64,
    /// For what is random.
    pub(super) seed: u64,
}

/// What is kept of the writes that no sync covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Keep {
    Nothing,
    Everything,
    /// Writes in order up to one that is torn.
    Prefix,
    /// Each sector with a chance of so many percent.
    Percent(u8),
    /// All sectors but one.
    AllButOne,
    /// One sector.
    One,
    /// The lengths of files, with zeros where data should be.
    Lengths,
}

/// When a name is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Directories {
    /// As with a journal: by a sync of the directory or of what is named, and with it every change of
    /// a name before.
    Linux,
    /// By a sync of the directory alone; each directory loses its own last changes.
    Posix,
}

/// Every way to keep, in turn.
const KEEPS: [Keep; 9] = [
    Keep::Nothing,
    Keep::Everything,
    Keep::Prefix,
    Keep::Percent(50),
    Keep::One,
    Keep::Percent(10),
    Keep::AllButOne,
    Keep::Percent(90),
    Keep::Lengths,
];

const SECTORS: [u64; 2] = [4096, 512];
const DIRECTORIES: [Directories; 2] = [Directories::Linux, Directories::Posix];

impl Plan {
    /// The crash before mutation `at` that loses as much as it may.
    pub(super) fn worst(at: usize, directories: Directories) -> Self {
        Self {
            at,
            keep: Keep::Nothing,
            directories,
            sector: SECTORS[0],
            seed: 0,
        }
    }

    /// `count` crashes of a log, in the order of the log: half of them beside syncs, marks and changes
    /// of names, half anywhere; every way to keep, directory model and sector size in turn.
    pub(super) fn sample(log: &OpLog, count: usize, seed: u64) -> Vec<Self> {
        Self::sample_within(log, log.base..=log.mutations.len(), count, seed)
    }

    /// The same for crashes in a part of the log.
    pub(super) fn sample_within(
        log: &OpLog,
        part: RangeInclusive<usize>,
        count: usize,
        seed: u64,
    ) -> Vec<Self> {
        let (from, to) = part.into_inner();
        let mut mix = Mix::new(seed ^ 0x00C5_A54D);
        let critical: Vec<usize> = (from..to)
            .filter(|at| log.mutations[*at].is_critical())
            .collect();
        let mut plans: Vec<Self> = (0..count)
            .map(|number| {
                let at = if number % 2 == 0 || critical.is_empty() {
                    from + below(&mut mix, to - from + 1)
                } else {
                    critical[below(&mut mix, critical.len())] + below(&mut mix, 2)
                };
                let round = number / 2;
                Self {
                    at,
                    keep: KEEPS[round % KEEPS.len()],
                    directories: DIRECTORIES[round / KEEPS.len() % 2],
                    sector: SECTORS[round / KEEPS.len() / 2 % 2],
                    seed: mix.next(),
                }
            })
            .collect();
        plans.sort_by_key(|plan| plan.at);
        plans
    }
}

/// A number below `bound`, which is not 0.
pub(super) fn below(mix: &mut Mix, bound: usize) -> usize {
    (mix.next() % bound as u64) as usize
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            keep,
            directories,
            sector,
            seed,
        } = self;
        let directories = match directories {
            Directories::Linux => "linux",
            Directories::Posix => "posix",
        };
        write!(f, "{at}:{keep}:{directories}:{sector}:{seed}")
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Everything => f.write_str("everything"),
            Self::Prefix => f.write_str("prefix"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::AllButOne => f.write_str("all-but-one"),
            Self::One => f.write_str("one"),
            Self::Lengths => f.write_str("lengths"),
        }
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let [at, keep, directories, sector, seed] = parts[..] else {
            return Err(format!(
                "{text:?} is not a plan: give at:keep:directories:sector:seed"
            ));
        };
        Ok(Self {
            at: number(at)?,
            keep: keep.parse()?,
            directories: match directories {
                "linux" => Directories::Linux,
                "posix" => Directories::Posix,
                other => return Err(format!("{other:?} is neither linux nor posix")),
            },
            sector: number(sector).and_then(|sector| {
                let known = SECTORS.contains(&sector);
                known
                    .then_some(sector)
                    .ok_or_else(|| "a sector has 512 or 4096 bytes".to_owned())
            })?,
            seed: number(seed)?,
        })
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "nothing" => Ok(Self::Nothing),
            "everything" => Ok(Self::Everything),
            "prefix" => Ok(Self::Prefix),
            "all-but-one" => Ok(Self::AllButOne),
            "one" => Ok(Self::One),
            "lengths" => Ok(Self::Lengths),
            other => match other.strip_suffix('%') {
                Some(percent) => number(percent).map(Self::Percent),
                None => Err(format!("{other:?} is no way to keep unsynced writes")),
            },
        }
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number that fits here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_parsed_as_it_is_printed() {
        for keep in KEEPS {
            for directories in DIRECTORIES {
                let plan = Plan {
                    at: 12,
                    keep,
                    directories,
                    sector: 512,
                    seed: u64::MAX,
                };
                assert_eq!(plan.to_string().parse(), Ok(plan));
            }
        }
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for text in [
            "",
            "1:all",
            "1:nothing:linux:513:0",
            "1:nothing:dos:512:0",
            "x:one:linux:512:0",
        ] {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
    }
}
