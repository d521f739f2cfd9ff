use std::fmt::Display;
use std::path::Path;

use raft_logstore_core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

use crate::options;

/// The longest URI, in bytes.
const MAX_LEN: usize = 4096;

/// A URI in its parts: `scheme:path?key=value&key=value`.
#[derive(Debug)]
pub(crate) struct Uri<'a> {
    pub(crate) scheme: &'a str,
    path: &'a str,
    options: Vec<UriOption<'a>>,
}

/// One `key=value`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UriOption<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
}

impl<'a> Uri<'a> {
    pub(crate) fn parse(uri: &'a str) -> Result<Self> {
        if uri.len() > MAX_LEN {
            return Err(invalid(format!(
                "the URI is {} bytes long; at most {MAX_LEN} are allowed",
                uri.len()
            )));
        }
        if uri.contains(char::is_control) {
            return Err(invalid(format!(
                "the URI {} holds control characters",
                shown(uri)
            )));
        }
        let Some((scheme, rest)) = uri.split_once(':') else {
            return Err(invalid(format!(
                "{} is not a store URI; write scheme:path, such as memory: or redb:/var/lib/raft",
                shown(uri)
            )));
        };
        let (path, options) = match rest.split_once('?') {
            Some((path, options)) => (path, options.split('&').collect()),
            None => (rest, Vec::new()),
        };
        let options: Vec<_> = options
            .into_iter()
            .map(UriOption::parse)
            .collect::<Result<_>>()?;
        let repeated = options
            .iter()
            .enumerate()
            .find(|(at, option)| options[..*at].iter().any(|before| before.key == option.key));
        match repeated {
            Some((_, option)) => Err(invalid(format!(
                "option {} is given twice",
                shown(option.key)
            ))),
            None => Ok(Self {
                scheme,
                path,
                options,
            }),
        }
    }

    /// The options as the configuration of a backend. What is not given keeps its default.
    pub(crate) fn config<C: DeserializeOwned>(&self) -> Result<C> {
        options::config(&self.options).map_err(|error| invalid(format!("{}: {error}", self.scheme)))
    }

    /// The folder the URI names.
    pub(crate) fn folder(&self) -> Result<&'a Path> {
        let scheme = self.scheme;
        if self.path.is_empty() {
            return Err(invalid(format!(
                "{scheme}: needs a path, such as {scheme}:/var/lib/raft"
            )));
        }
        if let Some(path) = self.path.strip_prefix("//") {
            return Err(invalid(format!(
                "{} looks like a host; write {scheme}:/path for an absolute path and {scheme}:path \
                 for a relative one",
                shown(path)
            )));
        }
        Ok(Path::new(self.path))
    }

    /// Checks that the URI is a scheme and nothing else.
    pub(crate) fn bare(&self) -> Result<()> {
        if !self.path.is_empty() {
            let scheme = self.scheme;
            return Err(invalid(format!(
                "{scheme}: takes no path, found {}",
                shown(self.path)
            )));
        }
        match self.options.first() {
            Some(option) => Err(invalid(format!(
                "{}: has no option {}; it takes none",
                self.scheme,
                shown(option.key)
            ))),
            None => Ok(()),
        }
    }
}

impl<'a> UriOption<'a> {
    fn parse(option: &'a str) -> Result<Self> {
        match option.split_once('=') {
            Some((key, value)) => Ok(Self { key, value }),
            None => Err(invalid(format!(
                "option {} is not of the form key=value",
                shown(option)
            ))),
        }
    }
}

pub(crate) fn invalid(advice: String) -> Error {
    Error::new(ErrorKind::Config, "open").with_advice(advice)
}

/// A part of a URI, quoted, escaped, and cut to a readable length.
pub(crate) fn shown(part: &str) -> impl Display {
    const LEN: usize = 80;
    let start: String = part.chars().take(LEN).collect();
    let rest = if start.len() < part.len() { "..." } else { "" };
    format!("{start:?}{rest}")
}
