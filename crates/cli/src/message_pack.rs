//! MessagePack shown as JSON.
//!
//! JSON has fewer kinds of values, so some are written in a way of their own:
//!
//! | MessagePack | JSON |
//! |---|---|
//! | binary, and text that is not UTF-8 | `{"$hex":"00ff"}` |
//! | extension | `{"$ext":[type,{"$hex":"00ff"}]}` |
//! | NaN, infinities | `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | key of a map that is no text | its JSON as text: `{"1":true}`, `{"[1,2]":true}` |
//!
//! What has a map inside the key of a map is not shown as JSON.

use std::fmt;
use std::io::{self, Write};

use rmp_serde::Deserializer;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// The deepest nesting that is shown. Readers of JSON refuse more.
const MAX_DEPTH: usize = 100;

/// Writes `bytes` as JSON if they are one whole MessagePack value; otherwise fails, after it may have
/// written a part. Works in a stream: what a value takes in memory does not depend on its size.
///
/// # Errors
///
/// `InvalidData` when it is no such value, those of `out`.
pub(crate) fn write_json(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let mut rest = bytes;
    let mut failure = None;
    let mut deserializer = Deserializer::new(&mut rest);
    deserializer.set_max_depth(MAX_DEPTH);
    let json = Json {
        out,
        in_key: false,
        failure: &mut failure,
    };
    let written = json.deserialize(&mut deserializer);
    match (failure, written) {
        (Some(failure), _) => Err(failure),
        (None, Ok(())) if rest.is_empty() => Ok(()),
        (None, _) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Whether `bytes` are one whole MessagePack value.
pub(crate) fn is_valid(bytes: &[u8]) -> bool {
    write_json(bytes, &mut io::sink()).is_ok()
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn write_hex(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    // In pieces: a digit at a time is slow, and all at once takes memory.
    for piece in bytes.chunks(1024) {
        let digits: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
        out.write_all(digits.as_bytes())?;
    }
    Ok(())
}

/// Writes the next value.
struct Json<'a> {
    out: &'a mut dyn Write,
    /// Inside the key of a map, which becomes text. Keys in keys would double their quotes each time.
    in_key: bool,
    /// Why `out` failed, which an error of the deserializer cannot carry.
    failure: &'a mut Option<io::Error>,
}

impl Json<'_> {
    fn put<E: de::Error>(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), E> {
        write(self.out).map_err(|error| {
            let message = error.to_string();
            self.failure.get_or_insert(error);
            E::custom(message)
        })
    }

    fn text<E: de::Error>(&mut self, text: &str) -> Result<(), E> {
        self.put(|out| out.write_all(text.as_bytes()))
    }

    fn value<E: de::Error>(&mut self, value: impl serde::Serialize) -> Result<(), E> {
        self.put(|out| Ok(serde_json::to_writer(out, &value)?))
    }

    fn float<E: de::Error>(&mut self, class: f64, finite: impl serde::Serialize) -> Result<(), E> {
        match class {
            _ if class.is_nan() => self.text("\"NaN\""),
            f64::INFINITY => self.text("\"Infinity\""),
            f64::NEG_INFINITY => self.text("\"-Infinity\""),
            _ => self.value(finite),
        }
    }

    fn next(&mut self) -> Json<'_> {
        Json {
            out: &mut *self.out,
            in_key: self.in_key,
            failure: &mut *self.failure,
        }
    }

    fn key<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Json<'a> {
        Json {
            out,
            in_key: true,
            failure: &mut *self.failure,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(mut self) -> Result<(), E> {
        self.text("null")
    }

    fn visit_bool<E: de::Error>(mut self, value: bool) -> Result<(), E> {
        self.value(value)
    }

    fn visit_i64<E: de::Error>(mut self, value: i64) -> Result<(), E> {
        self.value(value)
    }

    fn visit_u64<E: de::Error>(mut self, value: u64) -> Result<(), E> {
        self.value(value)
    }

    fn visit_f32<E: de::Error>(mut self, value: f32) -> Result<(), E> {
        self.float(f64::from(value), value)
    }

    fn visit_f64<E: de::Error>(mut self, value: f64) -> Result<(), E> {
        self.float(value, value)
    }

    fn visit_str<E: de::Error>(mut self, value: &str) -> Result<(), E> {
        self.value(value)
    }

    fn visit_bytes<E: de::Error>(mut self, value: &[u8]) -> Result<(), E> {
        self.text("{\"$hex\":\"")?;
        self.put(|out| write_hex(value, out))?;
        self.text("\"}")
    }

    /// An extension; there are no other newtypes in MessagePack.
    fn visit_newtype_struct<D: de::Deserializer<'de>>(
        mut self,
        extension: D,
    ) -> Result<(), D::Error> {
        self.text("{\"$ext\":")?;
        self.next().deserialize(extension)?;
        self.text("}")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.text("[")?;
        // The separator has to come before an element of which only the sequence knows whether it is
        // there, so each is written by its own seed.
        let mut first = true;
        while seq
            .next_element_seed(Element {
                first,
                json: self.next(),
            })?
            .is_some()
        {
            first = false;
        }
        self.text("]")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        if self.in_key {
            return Err(de::Error::custom("a map inside the key of a map"));
        }
        self.text("{")?;
        let (mut separator, mut key) = ("", Vec::new());
        while map.next_key_seed(self.key(&mut key))?.is_some() {
            self.text(separator)?;
            if key.starts_with(b"\"") {
                self.put(|out| out.write_all(&key))?;
            } else {
                self.value(String::from_utf8_lossy(&key))?;
            }
            self.text(":")?;
            map.next_value_seed(self.next())?;
            (separator, key) = (",", Vec::new());
        }
        self.text("}")
    }
}

/// An element of an array, with the comma before it.
struct Element<'a> {
    first: bool,
    json: Json<'a>,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        if !self.first {
            self.json.text(",")?;
        }
        self.json.deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn json(bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        let written = write_json(bytes, &mut out);
        assert_eq!(written.is_ok(), is_valid(bytes));
        written.ok().map(|()| String::from_utf8(out).unwrap())
    }

    #[rstest]
    #[case::nil(b"\xc0", "null")]
    #[case::numbers(
        b"\x93\x05\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        "[5,-1,18446744073709551615]"
    )]
    #[case::text(b"\xa5he\"lo", "\"he\\\"lo\"")]
    #[case::binary(b"\xc4\x02\x00\xff", "{\"$hex\":\"00ff\"}")]
    #[case::text_that_is_none(b"\xa1\xff", "{\"$hex\":\"ff\"}")]
    #[case::extension(b"\xd4\x07\x01", "{\"$ext\":[7,{\"$hex\":\"01\"}]}")]
    #[case::nan(b"\xcb\x7f\xf8\0\0\0\0\0\0", "\"NaN\"")]
    #[case::infinity(b"\xca\xff\x80\0\0", "\"-Infinity\"")]
    #[case::short_float(b"\xca\x3d\xcc\xcc\xcd", "0.1")]
    #[case::map(b"\x82\xa1a\x01\xa1b\x80", "{\"a\":1,\"b\":{}}")]
    #[case::keys_that_are_no_text(
        b"\x83\x01\xc3\x92\x01\xa1x\xc2\xc0\xc0",
        "{\"1\":true,\"[1,\\\"x\\\"]\":false,\"null\":null}"
    )]
    fn every_kind_of_value_has_its_json(#[case] bytes: &[u8], #[case] expected: &str) {
        assert_eq!(json(bytes).as_deref(), Some(expected));
        serde_json::from_str::<serde_json::Value>(expected).unwrap();
    }

    #[rstest]
    #[case::nothing(b"")]
    #[case::cut(b"\x93\x01")]
    #[case::more_than_one_value(b"\x01\x02")]
    #[case::never_used(b"\xc1")]
    #[case::says_it_is_huge(b"\xdd\xff\xff\xff\xff\x01")]
    #[case::huge_binary(b"\xc6\xff\xff\xff\xff\x01")]
    #[case::huge_extension(b"\xc9\xff\xff\xff\xff\x01")]
    #[case::a_map_in_a_key(b"\x81\x81\x01\x01\x01")]
    fn what_is_not_one_whole_value_is_refused(#[case] bytes: &[u8]) {
        assert_eq!(json(bytes), None);
    }

    #[test]
    fn deep_nesting_is_refused_and_what_is_shown_can_be_read() {
        for (depth, is_shown) in [(90, true), (200, false), (1 << 20, false)] {
            let mut bytes = vec![0x91; depth];
            bytes.push(0xc0);
            let json = json(&bytes);
            assert_eq!(json.is_some(), is_shown, "{depth}");
            if let Some(json) = json {
                serde_json::from_str::<serde_json::Value>(&json).unwrap();
            }
        }
    }

    #[test]
    fn a_reader_that_is_full_is_reported_as_such() {
        let mut room = [0; 4];
        let error = write_json(b"\xa9some text", &mut &mut room[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
