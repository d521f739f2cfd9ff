use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::contender::{COMPLETIONS, STORE};

/// Of the picture, in pixels.
const SIZE: (u32, u32) = (960, 330);
/// The edges of the field with the marks, in pixels.
const LEFT: i32 = 60;
const RIGHT: i32 = 810;
const TOP: i32 = 40;
const BOTTOM: i32 = 285;
const GREY: RGBColor = RGBColor(110, 110, 110);
const LIGHT: RGBColor = RGBColor(228, 228, 228);
/// One colour for each backend, told apart by most eyes.
const COLORS: [RGBColor; 9] = [
    RGBColor(0, 0, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 94, 240),
    RGBColor(150, 120, 80),
];

/// A picture: the figure of each log in each case.
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What the names of the cases are.
    pub(crate) cases: &'static str,
    pub(crate) scale: Scale,
    /// Where the baseline is.
    pub(crate) line: Option<f64>,
    pub(crate) marks: Vec<Mark>,
}

#[derive(Clone, Copy)]
pub(crate) enum Scale {
    Linear,
    Log,
}

/// The figure of one log in one case.
pub(crate) struct Mark {
    backend: String,
    path: String,
    case: String,
    value: f64,
    quartiles: Option<[f64; 2]>,
}

impl Mark {
    pub(crate) fn new(
        backend: &str,
        path: &str,
        case: impl ToString,
        value: f64,
        quartiles: Option<[f64; 2]>,
    ) -> Self {
        Self {
            backend: backend.to_owned(),
            path: path.to_owned(),
            case: case.to_string(),
            value,
            quartiles,
        }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let quartiles = self.quartiles.into_iter().flatten();
        quartiles.chain([self.value])
    }
}

impl Plot {
    /// The picture as an element of a page. `backends` have their colours by their place.
    ///
    /// # Errors
    ///
    /// When it cannot be drawn.
    pub(crate) fn svg(&self, backends: &[&str]) -> Result<String> {
        let mut svg = String::new();
        if let Some(axis) = self.axis() {
            let drawn = self.draw(&mut svg, &axis, backends);
            drawn.map_err(|error| anyhow!("drawing {:?}: {error}", self.title))?;
        }
        Ok(svg)
    }

    /// An axis on which everything that can be drawn lies, if there is anything.
    fn axis(&self) -> Option<Axis> {
        let values = self.marks.iter().flat_map(Mark::values).chain(self.line);
        let drawn = values.filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) = drawn.fold((f64::MAX, 0.0), |(low, high), value| {
            (f64::min(low, value), f64::max(high, value))
        });
        (high > 0.0).then(|| Axis::new(self.scale, low, high))
    }

    fn draw(
        &self,
        svg: &mut String,
        axis: &Axis,
        backends: &[&str],
    ) -> Result<(), Box<dyn std::error::Error>> {
        let cases = distinct(self.marks.iter().map(|mark| &*mark.case));
        let series = distinct(self.marks.iter().map(|mark| (&*mark.backend, &*mark.path)));
        let color = |backend: &str| COLORS[place(backends, backend) % COLORS.len()];
        let label = |color: &RGBColor, across| {
            let style = ("sans-serif", 12).into_font().color(color);
            style.pos(Pos::new(across, VPos::Center))
        };

        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let caption = ("sans-serif", 15).into_font().color(&BLACK);
        root.draw(&Text::new(self.title.as_str(), (LEFT, 8), caption))?;
        let width = f64::from(RIGHT - LEFT) / cases.len() as f64;
        let at = |x: f64, value: f64| {
            let up = f64::from(BOTTOM - TOP) * axis.place(value);
            (LEFT + (width * x) as i32, BOTTOM - up as i32)
        };

        for tick in axis.ticks() {
            let (x, y) = at(0.0, tick);
            root.draw(&PathElement::new([(LEFT, y), (RIGHT, y)], LIGHT))?;
            root.draw(&Text::new(
                number(tick),
                (x - 8, y),
                label(&GREY, HPos::Right),
            ))?;
        }
        for (number, case) in cases.iter().enumerate() {
            let x = number as f64;
            let (edge, _) = at(x, axis.low);
            let (middle, _) = at(x + 0.5, axis.low);
            root.draw(&PathElement::new([(edge, TOP), (edge, BOTTOM)], LIGHT))?;
            root.draw(&Text::new(
                *case,
                (middle, BOTTOM + 14),
                label(&GREY, HPos::Center),
            ))?;
        }
        let under = ((LEFT + RIGHT) / 2, BOTTOM + 32);
        root.draw(&Text::new(self.cases, under, label(&GREY, HPos::Center)))?;
        if let Some(line) = self.line {
            let (_, y) = at(0.0, line);
            for x in (LEFT..RIGHT).step_by(10) {
                root.draw(&PathElement::new([(x, y), (x + 6, y)], GREY))?;
            }
        }

        for mark in &self.marks {
            let one = place(&series, (&*mark.backend, &*mark.path));
            let across = (one as f64 + 0.5) / series.len() as f64;
            let x = place(&cases, &*mark.case) as f64 + 0.1 + 0.8 * across;
            if let Some([low, high]) = mark.quartiles.filter(|[low, _]| *low > 0.0) {
                let style = color(&mark.backend).stroke_width(2);
                root.draw(&PathElement::new([at(x, low), at(x, high)], style))?;
            }
            if mark.value > 0.0 {
                draw_mark(&root, at(x, mark.value), &mark.path, color(&mark.backend))?;
            }
        }
        for (number, (backend, path)) in series.iter().enumerate() {
            let y = TOP + 6 + 18 * number as i32;
            draw_mark(&root, (RIGHT + 20, y), path, color(backend))?;
            let name = format!("{backend} {path}");
            root.draw(&Text::new(name, (RIGHT + 32, y), label(&BLACK, HPos::Left)))?;
        }
        root.present()?;
        Ok(())
    }
}

/// The axis of the figures: from the value `low` to the value `high`.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    /// From a little below the lowest value, or zero, to a little above the highest.
    fn new(scale: Scale, low: f64, high: f64) -> Self {
        let low = match scale {
            Scale::Linear => 0.0,
            Scale::Log => low / 1.1,
        };
        let high = high * 1.1;
        Self { scale, low, high }
    }

    /// Where a value is, from 0 at the low end to 1 at the high one.
    fn place(&self, value: f64) -> f64 {
        let Self { scale, low, high } = self;
        match scale {
            Scale::Linear => (value - low) / (high - low),
            Scale::Log => (value / low).ln() / (high / low).ln(),
        }
    }

    /// Round values on the axis, four to a dozen.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = (self.low, self.high);
        let candidates: Vec<f64> = if matches!(self.scale, Scale::Log) && high / low > 5.0 {
            let steps: &[f64] = match high / low > 1e4 {
                true => &[1.0],
                false => &[1.0, 2.0, 5.0],
            };
            let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
            let decade = |power| steps.iter().map(move |step| step * 10f64.powi(power));
            powers.flat_map(decade).collect()
        } else {
            let most = (high - low) / 4.0;
            let unit = 10f64.powf(most.log10().floor());
            let steps = [5.0, 2.0].map(|step| step * unit).into_iter();
            let step = steps.fold(
                unit,
                |step, other| if other <= most { step.max(other) } else { step },
            );
            let times = (low / step).ceil() as i64..=(high / step) as i64;
            times.map(|times| times as f64 * step).collect()
        };
        let inside = candidates.into_iter();
        inside.filter(|tick| (low..=high).contains(tick)).collect()
    }
}

fn draw_mark(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    (x, y): (i32, i32),
    path: &str,
    color: RGBColor,
) -> Result<(), Box<dyn std::error::Error>> {
    match path {
        STORE => root.draw(&Rectangle::new(
            [(x - 4, y - 4), (x + 4, y + 4)],
            color.filled(),
        ))?,
        COMPLETIONS => root.draw(&TriangleMarker::new((x, y), 6, color.filled()))?,
        _ => root.draw(&Circle::new((x, y), 5, color.filled()))?,
    }
    Ok(())
}

/// The different values, in the order of their first use.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

/// Where a value is among some that it is one of.
fn place<T: PartialEq>(values: &[T], value: T) -> usize {
    values.iter().position(|one| *one == value).unwrap_or(0)
}

/// A number without digits that say nothing.
fn number(value: f64) -> String {
    let digits = if value >= 10.0 { 1 } else { 3 };
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_neither_few_nor_many() {
        for (scale, low, high) in [
            (Scale::Log, 0.93, 1.31),
            (Scale::Log, 0.05, 3.0),
            (Scale::Log, 1.0, 9e6),
            (Scale::Linear, 5.0, 140.0),
        ] {
            let ticks = Axis::new(scale, low, high).ticks();
            assert!((4..=14).contains(&ticks.len()), "{low}..{high}: {ticks:?}");
        }
    }
}
