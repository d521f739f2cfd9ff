use bytes::Bytes;

/// SplitMix64: a sequence of well mixed numbers from a seed, the same on every machine.
pub(crate) struct Mix(u64);

impl Mix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Bytes that tell index and generation apart, as far as their number allows.
pub(crate) fn payload(index: u64, generation: u64, bytes: usize) -> Bytes {
    let mut mix = Mix::new(index.rotate_left(32) ^ generation.wrapping_mul(0xA24B_AED4_963E_E407));
    let mut payload = Vec::with_capacity(bytes.next_multiple_of(8));
    while payload.len() < bytes {
        payload.extend_from_slice(&mix.next().to_be_bytes());
    }
    payload.truncate(bytes);
    Bytes::from(payload)
}

/// A number as eight bytes, the highest first.
#[cfg(any(feature = "storage", all(feature = "crash", target_os = "linux")))]
pub(crate) fn of_number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// The number that eight bytes are.
#[cfg(any(feature = "storage", all(feature = "crash", target_os = "linux")))]
pub(crate) fn number(value: &Bytes) -> Option<u64> {
    let bytes = <[u8; 8]>::try_from(value.as_ref()).ok()?;
    Some(u64::from_be_bytes(bytes))
}
