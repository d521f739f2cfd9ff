//! The options of a URI, read into the typed configuration of a backend.

use std::fmt::{self, Display};

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::uri::{UriOption, shown};

/// Reads `options` into `C`, whose fields are their names.
pub(crate) fn config<C: DeserializeOwned>(options: &[UriOption<'_>]) -> Result<C, Invalid> {
    C::deserialize(MapDeserializer::new(
        options
            .iter()
            .map(|option| (Name(option.key), Value(*option))),
    ))
}

/// Why options do not make a configuration, in words for a person.
#[derive(Debug)]
pub(crate) struct Invalid(String);

impl Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

impl de::Error for Invalid {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self(format!(
            "has no option {}; its options are: {}",
            shown(field),
            known.join(", ")
        ))
    }
}

/// The name of an option.
struct Name<'a>(&'a str);

impl<'de, 'a> IntoDeserializer<'de, Invalid> for Name<'a> {
    type Deserializer = StrDeserializer<'a, Invalid>;

    fn into_deserializer(self) -> Self::Deserializer {
        self.0.into_deserializer()
    }
}

/// The value of an option: a number may have a unit, everything else is as in the configuration.
#[derive(Clone, Copy)]
struct Value<'a>(UriOption<'a>);

impl Value<'_> {
    /// The number, plain or with `KiB`, `MiB` or `GiB`.
    fn number(self) -> Result<u64, Invalid> {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
        let (number, shift) = units
            .iter()
            .find_map(|(unit, shift)| Some((self.0.value.strip_suffix(unit)?, shift)))
            .unwrap_or((self.0.value, &0));
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(1 << shift))
            .ok_or_else(|| self.is_not("a number, such as 1048576, 64MiB or 1GiB"))
    }

    fn is_not(self, expected: &str) -> Invalid {
        let UriOption { key, value } = self.0;
        Invalid(format!("option {key} is {}, not {expected}", shown(value)))
    }
}

impl<'de> IntoDeserializer<'de, Invalid> for Value<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Reads a number of the width the field has.
macro_rules! numbers {
    ($($method:ident $visit:ident $number:ty),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
            let number = <$number>::try_from(self.number()?);
            visitor.$visit(number.map_err(|_| self.is_not("a number this small"))?)
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = Invalid;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        visitor.visit_str(self.0.value)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        let switch = self.0.value.parse();
        visitor.visit_bool(switch.map_err(|_| self.is_not("true or false"))?)
    }

    numbers!(
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64
    );

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        visitor.visit_enum(IntoDeserializer::<Invalid>::into_deserializer(self.0.value))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
