use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::damage::{Content, History, Refusal, Shown};
use crate::law::DEADLINE;
use crate::{LawResult, Session, Subject};

/// What is seen of a store that may be damaged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Sight {
    /// It did not open.
    Refused(Refusal),
    /// It opened.
    Opened {
        /// What it showed.
        content: Content,
        /// When that was all that was acknowledged: what it shows after it was written to, closed and
        /// opened again, or why it did not go that far.
        after: Option<Shown<Content>>,
    },
}

impl Sight {
    /// Opens the store in `dir`, looks, and goes on with it when all is there.
    ///
    /// # Errors
    ///
    /// When the suite itself cannot; what the store says is part of the sight.
    pub fn of(subject: &dyn Subject, dir: &Path, history: &History) -> LawResult<Self> {
        let session = match subject.open_cold(dir) {
            Ok(store) => Session::new(store, DEADLINE),
            Err(error) => return Ok(Self::Refused(error.into())),
        };
        let content = Content::of_session(&session, history)?;
        let after = if content == history.content()? {
            Some(Self::going_on(subject, dir, history, session)?)
        } else {
            end(session);
            None
        };
        Ok(Self::Opened { content, after })
    }

    fn going_on(
        subject: &dyn Subject,
        dir: &Path,
        history: &History,
        session: Session,
    ) -> LawResult<Shown<Content>> {
        let written = history.go_on(&session)?;
        let closed = session.close();
        match written.and(closed).and_then(|()| subject.open_cold(dir)) {
            Ok(store) => {
                let session = Session::new(store, DEADLINE);
                let content = Content::of_session(&session, history)?;
                end(session);
                Ok(Ok(content))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }
}

/// Gives the directory back. Closing is not what is looked at: an error of it says nothing new.
fn end(session: Session) {
    drop(session.close());
}
