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
    // To look at every byte takes a fraction of the time that going from value to value may take.
    if bytes.len() <= DEEPEST || most_arrays_and_maps(bytes) <= DEEPEST {
        return Ok(());
    }
    walk(bytes)
}

/// How many arrays and maps there are at most.
fn most_arrays_and_maps(bytes: &[u8]) -> usize {
    // Few enough at a time to be counted in a byte, which many of fit into a register.
    let parts = bytes.chunks(usize::from(u8::MAX));
    let count = |part: &[u8]| -> u8 {
        part.iter()
            .map(|&byte| u8::from(may_begin_values(byte)))
            .sum()
    };
    parts.map(|part| usize::from(count(part))).sum()
}

/// Whether a byte is the marker of an array or a map, or looks like one.
fn may_begin_values(byte: u8) -> bool {
    matches!(byte, 0x80..=0x9f | 0xdc..=0xdf)
}

/// [`check`], from value to value.
fn walk(bytes: &[u8]) -> Result<(), CodecError> {
    let mut rest = bytes;
    // How many values follow in the innermost array or map, and in each of those around it.
    let mut left = 1;
    let mut around = [0; DEEPEST];
    let mut depth = 0;
    loop {
        if left == 0 {
            if depth == 0 {
                return Ok(());
            }
            depth -= 1;
            left = around[depth];
            continue;
        }
        left -= 1;
        let Some((&marker, behind)) = rest.split_first() else {
            return Ok(());
        };
        let (bytes, values) = match SHAPES[usize::from(marker)] {
            Shape::Bytes(bytes) => (usize::from(bytes), 0),
            Shape::LengthAndBytes { width, more } => {
                let bytes = usize::try_from(number(behind, width)).unwrap_or(usize::MAX);
                (bytes.saturating_add(usize::from(width + more)), 0)
            }
            Shape::Values(values) => (0, u64::from(values)),
            Shape::LengthAndValues { width, each } => {
                (usize::from(width), u64::from(each) * number(behind, width))
            }
        };
        let Some(behind) = behind.get(bytes..) else {
            return Ok(());
        };
        rest = behind;
        if values > 0 {
            if depth == DEEPEST {
                return Err(CodecError::new(format!(
                    "the value goes more than {DEEPEST} arrays and maps deep"
                )));
            }
            around[depth] = left;
            depth += 1;
            left = values;
        }
    }
}

/// What follows a marker.
#[derive(Clone, Copy)]
enum Shape {
    /// So many bytes.
    Bytes(u8),
    /// A length of `width` bytes, so many bytes, and `more`.
    LengthAndBytes { width: u8, more: u8 },
    /// So many values.
    Values(u8),
    /// A length of `width` bytes, and `each` so many values.
    LengthAndValues { width: u8, each: u8 },
}

/// By the [markers](https://github.com/msgpack/msgpack/blob/master/spec.md#formats) of MessagePack.
static SHAPES: [Shape; 256] = {
    let mut shapes = [Shape::Bytes(0); 256];
    let mut marker = 0;
    while marker < shapes.len() {
        shapes[marker] = shape(marker as u8);
        marker += 1;
    }
    shapes
};

const fn shape(marker: u8) -> Shape {
    match marker {
        // Small numbers, nil, false, true, and what is never used.
        0x00..=0x7f | 0xe0..=0xff | 0xc0..=0xc3 => Shape::Bytes(0),
        // Small maps, arrays and strings.
        0x80..=0x8f => Shape::Values(2 * (marker & 0x0f)),
        0x90..=0x9f => Shape::Values(marker & 0x0f),
        0xa0..=0xbf => Shape::Bytes(marker & 0x1f),
        // Bytes and strings.
        0xc4 | 0xd9 => Shape::LengthAndBytes { width: 1, more: 0 },
        0xc5 | 0xda => Shape::LengthAndBytes { width: 2, more: 0 },
        0xc6 | 0xdb => Shape::LengthAndBytes { width: 4, more: 0 },
        // Extensions, whose type is a byte more.
        0xc7 => Shape::LengthAndBytes { width: 1, more: 1 },
        0xc8 => Shape::LengthAndBytes { width: 2, more: 1 },
        0xc9 => Shape::LengthAndBytes { width: 4, more: 1 },
        0xd4..=0xd8 => Shape::Bytes(1 + (1 << (marker - 0xd4))),
        // Numbers.
        0xca => Shape::Bytes(4),
        0xcb => Shape::Bytes(8),
        0xcc..=0xcf => Shape::Bytes(1 << (marker - 0xcc)),
        0xd0..=0xd3 => Shape::Bytes(1 << (marker - 0xd0)),
        // Arrays and maps.
        0xdc => Shape::LengthAndValues { width: 2, each: 1 },
        0xdd => Shape::LengthAndValues { width: 4, each: 1 },
        0xde => Shape::LengthAndValues { width: 2, each: 2 },
        0xdf => Shape::LengthAndValues { width: 4, each: 2 },
    }
}

/// The number in the first `width` bytes; any where they are missing, which shows when they are passed over.
fn number(bytes: &[u8], width: u8) -> u64 {
    let number = bytes.iter().take(width.into());
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
        walk(&before_arrays(value, DEEPEST)).unwrap();
        walk(&before_arrays(value, DEEPEST + 1)).unwrap_err();
        check(&before_arrays(value, DEEPEST + 1)).unwrap_err();
    }

    #[test]
    fn bytes_that_look_like_arrays_and_arrays_beside_each_other_are_not_deep() {
        let bytes = [vec![0xc5, 1, 0], vec![0x91; 256]].concat();
        check(&bytes).unwrap();
        let arrays = [vec![0xdc, 1, 0], [0x91, 0xc0].repeat(256)].concat();
        check(&arrays).unwrap();
    }

    #[test]
    fn a_value_may_end_anywhere_and_claim_any_length() {
        for marker in 0..=u8::MAX {
            for len in 0..6 {
                walk(&vec![marker; len]).unwrap();
            }
        }
    }
}
