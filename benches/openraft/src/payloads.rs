use std::sync::Arc;

use rand::RngExt;
use rand::distr::Alphanumeric;

/// What the clients write: pieces of one long random text, so that no write is like the one before.
#[derive(Clone, Debug)]
pub(crate) struct Payloads {
    text: Arc<str>,
    bytes: usize,
    at: usize,
}

/// How far the pieces move over the text.
const SPAN: usize = 1 << 20;

impl Payloads {
    /// Pieces of so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let letters = rand::rng().sample_iter(Alphanumeric);
        let text: String = letters.take(SPAN + bytes).map(char::from).collect();
        Self {
            text: text.into(),
            bytes,
            at: 0,
        }
    }

    /// The same, from another place on.
    pub(crate) fn from(&self, place: u64) -> Self {
        // Below the span, so it fits.
        let at = (place.wrapping_mul(7919) % SPAN as u64) as usize;
        Self { at, ..self.clone() }
    }

    /// The next piece.
    pub(crate) fn next(&mut self) -> String {
        let piece = &self.text[self.at..self.at + self.bytes];
        self.at = (self.at + 61) % SPAN;
        piece.to_owned()
    }
}
