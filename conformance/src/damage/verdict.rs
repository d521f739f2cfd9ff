use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use crate::LawResult;
use crate::damage::{Content, GroupContent, History, Refusal, Shown, ShownEntry, Sight};

/// What a store that was damaged made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It shows all that was acknowledged, and goes on: the harm met nothing of that.
    Unharmed,
    /// It did not open: a typed error says that it is damaged.
    Refused(String),
    /// It opened, and an operation returned a typed error that says what is damaged. All that it
    /// showed is right.
    Reported(String),
    /// Something acknowledged is missing, and no error says so: a shorter log, an older vote.
    Lost(String),
    /// Something is shown that was never written.
    Corrupt(String),
    /// It panicked, died, hung, or returned an error that is not about damage.
    Broken(String),
}

impl Verdict {
    /// Whether law 14 allows it.
    pub fn is_lawful(&self) -> bool {
        matches!(self, Self::Unharmed | Self::Refused(_) | Self::Reported(_))
    }
}

/// Judges what a store shows: knows what a history leaves, and what it wrote on the way.
pub struct Judge {
    expected: Content,
    expected_after: Content,
    written: BTreeMap<u64, BTreeSet<ShownEntry>>,
}

impl Judge {
    /// The judge of stores that hold this history.
    ///
    /// # Errors
    ///
    /// None that a store could cause.
    pub fn of(history: &History) -> LawResult<Self> {
        Ok(Self {
            expected: history.content()?,
            expected_after: history.content_after()?,
            written: history.entries(),
        })
    }

    /// Judges what was seen.
    pub fn judge(&self, sight: &Sight) -> Verdict {
        match sight {
            Sight::Refused(refusal) => of_refusal("open", refusal, Verdict::Refused),
            Sight::Opened { content, after } => {
                match (self.content(content, &self.expected), after) {
                    (Verdict::Unharmed, Some(Ok(after))) => {
                        self.content(after, &self.expected_after)
                    }
                    (Verdict::Unharmed, Some(Err(refusal))) => {
                        of_refusal("going on", refusal, Verdict::Reported)
                    }
                    (verdict, _) => verdict,
                }
            }
        }
    }

    fn content(&self, found: &Content, expected: &Content) -> Verdict {
        let mut verdicts = Vec::new();
        if let (Some(found), Some(Ok(expected))) = (&found.listed, &expected.listed) {
            // A group that nobody made is as wrong as bytes that nobody wrote.
            let known = |found: &Vec<u64>| found.iter().all(|group| expected.contains(group));
            verdicts.push(of_shown("the list of groups", None, found, expected, known));
        }
        for (id, group) in &found.groups {
            match expected.groups.get(id) {
                Some(expected) => self.group(*id, group, expected, &mut verdicts),
                None => verdicts.push(Verdict::Corrupt(format!("group {id} was never written"))),
            }
        }
        let worst = verdicts.into_iter().max_by_key(badness);
        worst.unwrap_or(Verdict::Unharmed)
    }

    fn group(
        &self,
        id: u64,
        found: &GroupContent,
        expected: &GroupContent,
        verdicts: &mut Vec<Verdict>,
    ) {
        let place = |what: &str| format!("{what} of group {id}");
        if let Ok(expected) = &expected.bounds {
            let bounds = place("the bounds");
            verdicts.push(of_shown(&bounds, Some(id), &found.bounds, expected, |_| {
                true
            }));
        }
        if let Ok(expected) = &expected.entries {
            let none = BTreeSet::new();
            let written = self.written.get(&id).unwrap_or(&none);
            let known = |found: &Vec<_>| found.iter().all(|entry| written.contains(entry));
            let entries = place("the entries");
            verdicts.push(of_shown(
                &entries,
                Some(id),
                &found.entries,
                expected,
                known,
            ));
        }
        for (key, value) in &found.keys {
            if let Some(Ok(expected)) = expected.keys.get(key) {
                let known =
                    |value: &Option<String>| is_older(value.as_deref(), expected.as_deref());
                verdicts.push(of_shown(&place(key), Some(id), value, expected, known));
            }
        }
    }
}

/// The values that a history gives a key differ in their last digits alone.
fn is_older(value: Option<&str>, expected: Option<&str>) -> bool {
    let start = |value: &str| value.trim_end_matches(char::is_numeric).to_owned();
    value.is_none() || value.map(start) == expected.map(start)
}

/// An error is lawful when it says that something is damaged.
fn of_refusal(operation: &str, refusal: &Refusal, lawful: fn(String) -> Verdict) -> Verdict {
    let said = format!("{operation}: {refusal}");
    if refusal.is_damage {
        lawful(said)
    } else {
        Verdict::Broken(said)
    }
}

/// Judges one answer. What differs is a loss when `was_written` says that it was all written once.
fn of_shown<T: PartialEq + Debug>(
    what: &str,
    group: Option<u64>,
    found: &Shown<T>,
    expected: &T,
    was_written: impl Fn(&T) -> bool,
) -> Verdict {
    match found {
        Err(refusal) if group.is_some() && refusal.group != group => Verdict::Broken(format!(
            "{what}: the error does not name the group: {refusal}"
        )),
        Err(refusal) => of_refusal(what, refusal, Verdict::Reported),
        Ok(found) if found == expected => Verdict::Unharmed,
        Ok(found) => {
            let said = format!(
                "{what}: found {}, acknowledged {}",
                short(found),
                short(expected)
            );
            if was_written(found) {
                Verdict::Lost(said)
            } else {
                Verdict::Corrupt(said)
            }
        }
    }
}

/// Both ends of a long text.
fn short(value: &impl Debug) -> String {
    const END: usize = 60;
    let text: Vec<char> = format!("{value:?}").chars().collect();
    if text.len() <= 3 * END {
        return text.into_iter().collect();
    }
    let end = |part: &[char]| part.iter().collect::<String>();
    format!(
        "{} ... {}",
        end(&text[..END]),
        end(&text[text.len() - END..])
    )
}

/// Of several verdicts the worst one counts.
fn badness(verdict: &Verdict) -> u32 {
    match verdict {
        Verdict::Unharmed => 0,
        Verdict::Refused(_) | Verdict::Reported(_) => 1,
        Verdict::Broken(_) => 2,
        Verdict::Lost(_) => 3,
        Verdict::Corrupt(_) => 4,
    }
}
