//! What the payload of an entry, or the value of a stable key, is shown as.

use std::io::{self, Write};

use crate::message_pack;

/// The most bytes of a payload that people get to see.
const SHOWN: usize = 200;

/// How a payload is shown. Nothing says what a payload is, so this is a guess from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// One whole MessagePack value, shown as JSON.
    MessagePack,
    /// UTF-8 without control characters.
    Text,
    /// Anything else, shown in hexadecimal digits.
    Hex,
}

impl Encoding {
    /// The most telling way to show `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match bytes {
            // One letter is also a small number in MessagePack.
            [letter] if letter.is_ascii_graphic() => Self::Text,
            _ if message_pack::is_valid(bytes) => Self::MessagePack,
            _ if str::from_utf8(bytes).is_ok_and(is_printable) => Self::Text,
            _ => Self::Hex,
        }
    }

    /// Its name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MessagePack => "messagepack",
            Self::Text => "text",
            Self::Hex => "hex",
        }
    }

    /// Writes all of `bytes` as one JSON value.
    pub(crate) fn write_json(self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        match (self, str::from_utf8(bytes)) {
            (Self::MessagePack, _) => message_pack::write_json(bytes, out),
            (Self::Text, Ok(text)) => Ok(serde_json::to_writer(out, text)?),
            _ => {
                out.write_all(b"\"")?;
                message_pack::write_hex(bytes, out)?;
                out.write_all(b"\"")
            }
        }
    }

    /// Writes `bytes` for people: on one line, cut to a readable length.
    pub(crate) fn write_line(self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let mut line = Cut(Vec::new());
        let whole = match (self, str::from_utf8(bytes)) {
            (Self::MessagePack, _) => message_pack::write_json(bytes, &mut line),
            (Self::Text, Ok(text)) => write!(line, "{}", text.escape_debug()),
            _ => line
                .write_all(b"0x")
                .and_then(|()| message_pack::write_hex(bytes, &mut line)),
        };
        // A cut may go through the middle of a character. What JSON holds is not always fit for a
        // terminal.
        let shown: String = String::from_utf8_lossy(&line.0)
            .trim_end_matches(char::REPLACEMENT_CHARACTER)
            .chars()
            .map(|c| {
                if is_harmless(c) {
                    c
                } else {
                    char::REPLACEMENT_CHARACTER
                }
            })
            .collect();
        out.write_all(shown.as_bytes())?;
        out.write_all(if whole.is_ok() { b"" } else { b"..." })
    }
}

fn is_printable(text: &str) -> bool {
    text.chars()
        .all(|c| is_harmless(c) || matches!(c, '\n' | '\r' | '\t'))
}

/// Whether a terminal just shows the character: no control, and no change of the text's direction.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Takes the first [`SHOWN`] bytes and refuses the rest.
struct Cut(Vec<u8>);

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(SHOWN - self.0.len());
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn line(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        Encoding::of(bytes).write_line(bytes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[rstest]
    #[case::empty(b"", Encoding::Text, "")]
    #[case::letter(b"a", Encoding::Text, "a")]
    #[case::text("x = \u{fc}\n".as_bytes(), Encoding::Text, "x = \u{fc}\\n")]
    #[case::message_pack(b"\x81\xa1k\x01", Encoding::MessagePack, "{\"k\":1}")]
    #[case::bytes(b"\0\x01\xfe", Encoding::Hex, "0x0001fe")]
    #[case::terminal_control(b"ab\x1b[2J", Encoding::Hex, "0x61621b5b324a")]
    #[case::text_direction("ab\u{202e}c".as_bytes(), Encoding::Hex, "0x6162e280ae63")]
    fn the_most_telling_way_is_taken(
        #[case] bytes: &[u8],
        #[case] encoding: Encoding,
        #[case] shown: &str,
    ) {
        assert_eq!(Encoding::of(bytes), encoding);
        assert_eq!(line(bytes), shown);
    }

    #[rstest]
    #[case::text("\u{fc}".repeat(500).into_bytes())]
    #[case::hex(vec![0xfe; 500])]
    #[case::message_pack([&[0xdc, 1, 0xf4][..], &[7; 500]].concat())]
    fn a_long_payload_is_cut_for_people_alone(#[case] bytes: Vec<u8>) {
        let shown = line(&bytes);
        assert!(
            shown.ends_with("...") && shown.len() <= SHOWN + 3,
            "{shown}"
        );
        let mut json = Vec::new();
        Encoding::of(&bytes).write_json(&bytes, &mut json).unwrap();
        assert!(json.len() > bytes.len(), "{}", json.len());
        serde_json::from_slice::<serde_json::Value>(&json).unwrap();
    }
}
