use std::fmt::Display;
use std::path::Path;

use raft_logstore_core::{Error, ErrorKind, Result};

/// The longest URI, in bytes.
const MAX_LEN: usize = 4096;

/// A URI in its parts: `scheme:path?key=value&key=value`.
#[derive(Debug)]
pub(crate) struct Uri<'a> {
    pub(crate) scheme: &'a str,
    path: &'a str,
    pub(crate) options: Vec<UriOption<'a>>,
}

/// One `key=value`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UriOption<'a> {
    scheme: &'a str,
    pub(crate) key: &'a str,
    value: &'a str,
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
            .map(|option| UriOption::parse(scheme, option))
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
            Some(option) => Err(option.unknown(&[])),
            None => Ok(()),
        }
    }
}

impl<'a> UriOption<'a> {
    fn parse(scheme: &'a str, option: &'a str) -> Result<Self> {
        match option.split_once('=') {
            Some((key, value)) => Ok(Self { scheme, key, value }),
            None => Err(invalid(format!(
                "option {} is not of the form key=value",
                shown(option)
            ))),
        }
    }

    /// The value as a number of bytes: plain, or with `KiB`, `MiB` or `GiB`.
    pub(crate) fn bytes(&self) -> Result<u64> {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
        let (number, shift) = units
            .iter()
            .find_map(|(unit, shift)| Some((self.value.strip_suffix(unit)?, shift)))
            .unwrap_or((self.value, &0));
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(1 << shift))
            .ok_or_else(|| self.invalid("a number of bytes, such as 1048576, 64MiB or 1GiB"))
    }

    /// The value as a switch: `true` or `false`.
    pub(crate) fn switch(&self) -> Result<bool> {
        self.value
            .parse()
            .map_err(|_| self.invalid("true or false"))
    }

    /// The option is none that the scheme has.
    pub(crate) fn unknown(&self, known: &[&str]) -> Error {
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let scheme = self.scheme;
        invalid(format!(
            "{scheme}: has no option {}; its options are: {known}",
            shown(self.key)
        ))
    }

    fn invalid(&self, expected: &str) -> Error {
        invalid(format!(
            "option {} is {}, not {expected}",
            self.key,
            shown(self.value)
        ))
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
