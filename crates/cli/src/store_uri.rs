use std::fmt;
use std::path::Path;
use std::str::FromStr;

use raft_logstore::{Error, ErrorKind, Inspection, Result, Target};

/// The URI of a store, as it was given and as it is understood.
#[derive(Clone, Debug)]
pub(crate) struct StoreUri {
    text: String,
    target: Target,
}

impl StoreUri {
    /// Opens the store to look at it, with a small cache unless the URI says how large.
    ///
    /// Who looks at a store reads it from one end to the other, so a large one would only take memory.
    pub(crate) fn inspect(&self) -> Result<Inspection> {
        /// Enough for what is read again and again: inner pages of trees.
        #[cfg(any(feature = "redb", feature = "fjall"))]
        const CACHE_BYTES: u64 = 16 << 20;

        let options = self.text.split_once('?').map_or("", |(_, options)| options);
        if options.contains("cache_bytes=") {
            return self.target.inspect();
        }
        let mut target = self.target.clone();
        match &mut target {
            #[cfg(feature = "redb")]
            Target::Redb { config, .. } => config.cache_bytes = CACHE_BYTES,
            #[cfg(feature = "fjall")]
            Target::Fjall { config, .. } => config.cache_bytes = CACHE_BYTES,
            _ => {}
        }
        target.inspect()
    }

    /// What the URI opens.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The directory of the store.
    ///
    /// # Errors
    ///
    /// `Config` for a store that has none.
    pub(crate) fn directory(&self) -> Result<&Path> {
        match self.target.folder() {
            Some((path, _)) => Ok(path),
            None => Err(Error::new(ErrorKind::Config, "open").with_advice(format!(
                "{self} is gone with its process; name a store in a directory"
            ))),
        }
    }

    /// A store of the same backend, with the same options, in another directory.
    pub(crate) fn in_directory(&self, directory: &Path) -> Result<Self> {
        let scheme = self.text.split(':').next().unwrap_or_default();
        let options = self.text.find('?').map_or("", |at| &self.text[at..]);
        format!("{scheme}:{}{options}", directory.display()).parse()
    }
}

impl FromStr for StoreUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self {
            text: text.to_owned(),
            target: text.parse()?,
        })
    }
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
