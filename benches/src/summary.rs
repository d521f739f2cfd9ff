use std::time::Duration;

/// What the rounds came to: their median, and the quartiles around it. Three digits behind the point.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) quartiles: [f64; 2],
}

impl Spread {
    /// Of one value per round.
    pub(crate) fn of(rounds: &[f64]) -> Self {
        let mut rounds = rounds.to_vec();
        let mut at = |q| rounded(quantile(&mut rounds, q));
        Self {
            median: at(0.5),
            quartiles: [at(0.25), at(0.75)],
        }
    }

    /// Of one contender over another, round by round.
    pub(crate) fn of_ratio(of: &[f64], to: &[f64]) -> Self {
        let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to).collect();
        Self::of(&ratios)
    }
}

/// The `q`-quantile of some values, 0 to 1; NaN for none.
pub(crate) fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len => values[((len - 1) as f64 * q).round() as usize],
    }
}

/// The middle value.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    quantile(&mut values, 0.5)
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A duration in milliseconds, for print.
pub(crate) fn millis(duration: Duration) -> f64 {
    rounded(micros(duration) / 1000.0)
}

/// Bytes in MiB, for print.
pub(crate) fn mib(bytes: u64) -> f64 {
    rounded(bytes as f64 / (1 << 20) as f64)
}

/// Rounds for print: three digits behind the point.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
