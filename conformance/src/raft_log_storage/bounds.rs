use std::ops::Bound;

use raft_logstore_core::{Bounds, Error, ErrorKind, Result};

use super::storage::{LogId, Reader, Storage, Stored};

/// A storage with a reader of its own. One writer holds it at a time.
pub(crate) struct Core {
    pub(crate) storage: Box<dyn Storage>,
    pub(crate) reader: Box<dyn Reader>,
    /// What the next entries are written in.
    pub(crate) term: u64,
    /// Where a log without a floor begins at the earliest.
    pub(crate) lowest: u64,
}

impl Core {
    /// The bounds of the log. openraft asks for the ends alone; the first entry is searched.
    pub(crate) async fn bounds(&mut self) -> Result<Bounds> {
        let state = self.storage.state().await?;
        let (floor, last) = (
            state.purged.map(|id| id.index),
            state.last.map(|id| id.index),
        );
        let wrong =
            |what: String| Error::new(ErrorKind::Corrupt, "get_log_state").with_advice(what);
        match last {
            _ if last < floor => Err(wrong(format!(
                "the last log id is {:?}, below the last purged one, {:?}",
                state.last, state.purged
            ))),
            Some(last) if floor != Some(last) => {
                let first = self
                    .first(floor.map_or(self.lowest, |floor| floor + 1), last)
                    .await?;
                let first = first.ok_or_else(|| {
                    wrong(format!(
                        "the last log id has index {last}, where no entry can be read"
                    ))
                })?;
                Bounds::new(floor, Some((first.0.index, last)))
            }
            _ => Bounds::new(floor, None),
        }
    }

    /// The log id at an index: that of the entry, or the one that it could have where there is none.
    pub(crate) async fn id_at(&mut self, index: u64) -> Result<LogId> {
        let state = self.storage.state().await?;
        let ends = [state.purged, state.last].into_iter().flatten();
        if let Some(end) = ends.into_iter().find(|end| end.index == index) {
            return Ok(end);
        }
        let term = match (state.purged, state.last) {
            (_, None) => self.term,
            (_, Some(last)) if last.index < index => self.term,
            (Some(purged), _) if index < purged.index => purged.term,
            (purged, Some(last)) => {
                if let Some((id, _)) = self.entry(index).await? {
                    return Ok(id);
                }
                // Below the first entry: of whoever wrote that.
                let floor = purged.map_or(self.lowest, |purged| purged.index + 1);
                let first = self.first(floor, last.index).await?;
                first.map_or(self.term, |(first, _)| first.term)
            }
        };
        Ok(LogId { term, index })
    }

    /// The log id in front of an index; `None` when nothing is there.
    pub(crate) async fn id_before(&mut self, index: u64) -> Result<Option<LogId>> {
        let Some(before) = index.checked_sub(1) else {
            return Ok(None);
        };
        let bounds = self.bounds().await?;
        match (bounds.first(), bounds.floor()) {
            (None, None) => Ok(None),
            (Some(first), None) if before < first => Ok(None),
            _ => self.id_at(before).await.map(Some),
        }
    }

    /// The first entry at or above `lowest`, where `last` is the last one.
    async fn first(&mut self, lowest: u64, last: u64) -> Result<Option<Stored>> {
        // Nearly always right above the floor, or 1.
        for likely in [lowest, lowest.max(1)] {
            if let Some(found) = self.entry(likely).await? {
                return Ok(Some(found));
            }
        }
        // The entries are the end of the range: search where they begin.
        let (mut below, mut first) = (lowest, self.entry(last).await?);
        while let Some((id, _)) = first.as_ref().filter(|(id, _)| below + 1 < id.index) {
            let middle = below + (id.index - below) / 2;
            match self.entry(middle).await? {
                Some(found) => first = Some(found),
                None => below = middle,
            }
        }
        Ok(first)
    }

    async fn entry(&mut self, index: u64) -> Result<Option<Stored>> {
        let range = (Bound::Included(index), Bound::Excluded(index + 1));
        let found = self.reader.read(range).await?;
        Ok(found.into_iter().find(|(id, _)| id.index == index))
    }
}
