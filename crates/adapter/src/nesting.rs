use rmp::Marker;

use crate::CodecError;

/// How many arrays and maps of MessagePack may lie in each other.
const DEEPEST: usize = 128;

/// Checks that the first value in `bytes` does not go deeper than [`DEEPEST`]. Whether it is whole, and of a type, is for
/// the decoder to say.
///
/// # Errors
///
/// When it does.
pub(crate) fn check(bytes: &[u8]) -> Result<(), CodecError> {
    // How many values are left of each array and map that has begun.
    let mut open = [0u64; DEEPEST];
    let mut depth = 0;
    let mut rest = bytes;
    while let Some((&first, behind)) = rest.split_first() {
        let Shape { bytes, values } = Shape::of(Marker::from_u8(first), behind);
        let Some(behind) = behind.get(bytes..) else {
            break;
        };
        rest = behind;
        if values > 0 {
            if depth == DEEPEST {
                return Err(CodecError::new(format!(
                    "the value goes more than {DEEPEST} arrays and maps deep"
                )));
            }
            open[depth] = values;
            depth += 1;
            continue;
        }
        // It has ended, and with it whatever it is the last of.
        while depth > 0 {
            open[depth - 1] -= 1;
            if open[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            break;
        }
    }
    Ok(())
}

/// What follows a marker.
struct Shape {
    /// Of the value itself, with its length.
    bytes: usize,
    /// In it: elements, or keys and values.
    values: u64,
}

impl Shape {
    fn of(marker: Marker, behind: &[u8]) -> Self {
        match marker {
            Marker::FixPos(_)
            | Marker::FixNeg(_)
            | Marker::Null
            | Marker::True
            | Marker::False
            | Marker::Reserved => Self::bytes(0),
            Marker::U8 | Marker::I8 => Self::bytes(1),
            Marker::U16 | Marker::I16 | Marker::FixExt1 => Self::bytes(2),
            Marker::FixExt2 => Self::bytes(3),
            Marker::U32 | Marker::I32 | Marker::F32 => Self::bytes(4),
            Marker::FixExt4 => Self::bytes(5),
            Marker::U64 | Marker::I64 | Marker::F64 => Self::bytes(8),
            Marker::FixExt8 => Self::bytes(9),
            Marker::FixExt16 => Self::bytes(17),
            Marker::FixStr(len) => Self::bytes(len.into()),
            Marker::Str8 | Marker::Bin8 => Self::with_length::<1>(behind, 0),
            Marker::Str16 | Marker::Bin16 => Self::with_length::<2>(behind, 0),
            Marker::Str32 | Marker::Bin32 => Self::with_length::<4>(behind, 0),
            // The type of an extension is a byte more.
            Marker::Ext8 => Self::with_length::<1>(behind, 1),
            Marker::Ext16 => Self::with_length::<2>(behind, 1),
            Marker::Ext32 => Self::with_length::<4>(behind, 1),
            Marker::FixArray(len) => Self::values(0, len.into()),
            Marker::Array16 => Self::values(2, number::<2>(behind)),
            Marker::Array32 => Self::values(4, number::<4>(behind)),
            Marker::FixMap(len) => Self::values(0, 2 * u64::from(len)),
            Marker::Map16 => Self::values(2, 2 * number::<2>(behind)),
            Marker::Map32 => Self::values(4, 2 * number::<4>(behind)),
        }
    }

    fn bytes(bytes: usize) -> Self {
        Self { bytes, values: 0 }
    }

    fn values(bytes: usize, values: u64) -> Self {
        Self { bytes, values }
    }

    /// Bytes behind a length of `N` bytes, and `more`.
    fn with_length<const N: usize>(behind: &[u8], more: usize) -> Self {
        let length = usize::try_from(number::<N>(behind)).unwrap_or(usize::MAX);
        Self::bytes(length.saturating_add(N + more))
    }
}

/// The number in the first `N` bytes; any where they are missing, which shows when they are passed over.
fn number<const N: usize>(bytes: &[u8]) -> u64 {
    let number = bytes.iter().take(N);
    number.fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// An array of `value` and of arrays in each other, the last `depth` deep.
    fn before_arrays(value: &[u8], depth: usize) -> Vec<u8> {
        let arrays = vec![0x91; depth - 1];
        [&[0x92], value, &*arrays, &[0xc0]].concat()
    }

    #[rstest]
    #[case::small_number(&[0x05])]
    #[case::small_negative_number(&[0xff])]
    #[case::nil(&[0xc0])]
    #[case::reserved(&[0xc1])]
    #[case::no(&[0xc2])]
    #[case::yes(&[0xc3])]
    #[case::bin_8(&[0xc4, 1, 0xff])]
    #[case::bin_16(&[0xc5, 0, 1, 0xff])]
    #[case::bin_32(&[0xc6, 0, 0, 0, 1, 0xff])]
    #[case::ext_8(&[0xc7, 1, 0xff, 0xff])]
    #[case::ext_16(&[0xc8, 0, 1, 0xff, 0xff])]
    #[case::ext_32(&[0xc9, 0, 0, 0, 1, 0xff, 0xff])]
    #[case::f32(&[0xca, 0xff, 0xff, 0xff, 0xff])]
    #[case::f64(&[0xcb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])]
    #[case::u8(&[0xcc, 0xff])]
    #[case::u16(&[0xcd, 0xff, 0xff])]
    #[case::u32(&[0xce, 0xff, 0xff, 0xff, 0xff])]
    #[case::u64(&[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])]
    #[case::i8(&[0xd0, 0xff])]
    #[case::i16(&[0xd1, 0xff, 0xff])]
    #[case::i32(&[0xd2, 0xff, 0xff, 0xff, 0xff])]
    #[case::i64(&[0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])]
    #[case::ext_of_1(&[0xd4; 3])]
    #[case::ext_of_2(&[0xd5; 4])]
    #[case::ext_of_4(&[0xd6; 6])]
    #[case::ext_of_8(&[0xd7; 10])]
    #[case::ext_of_16(&[0xd8; 18])]
    #[case::short_text(&[0xa2, b'a', b'b'])]
    #[case::text_8(&[0xd9, 1, b'a'])]
    #[case::text_16(&[0xda, 0, 1, b'a'])]
    #[case::text_32(&[0xdb, 0, 0, 0, 1, b'a'])]
    #[case::no_elements(&[0x90])]
    #[case::short_array(&[0x92, 0xff, 0xff])]
    #[case::array_16(&[0xdc, 0, 2, 0xff, 0xff])]
    #[case::array_32(&[0xdd, 0, 0, 0, 2, 0xff, 0xff])]
    #[case::no_fields(&[0x80])]
    #[case::short_map(&[0x81, 0xff, 0xff])]
    #[case::map_16(&[0xde, 0, 1, 0xff, 0xff])]
    #[case::map_32(&[0xdf, 0, 0, 0, 1, 0xff, 0xff])]
    fn every_kind_of_value_is_passed_over(#[case] value: &[u8]) {
        check(&before_arrays(value, DEEPEST)).unwrap();
        check(&before_arrays(value, DEEPEST + 1)).unwrap_err();
    }

    #[test]
    fn a_value_may_end_anywhere_and_claim_any_length() {
        for marker in 0..=u8::MAX {
            for len in 0..6 {
                check(&vec![marker; len]).unwrap();
            }
        }
    }
}
