//! Law 14 at work: stores that are damaged on disk, and what they then show.
//!
//! A [`History`] is written into a store by a second process, which closes it or is killed. What it leaves is
//! an [`Image`]. Each [`Harm`] is done to a copy of the image, and a second process looks at everything
//! that the store then shows, a [`Sight`], which is judged against what was acknowledged: a
//! [`Verdict`]. The looking is done in another process because an engine that trusts its file can die of
//! it.

mod content;
mod examination;
mod harm;
mod history;
mod image;
mod sight;
mod sweep;
mod verdict;

pub use content::{Content, GroupContent, Refusal, Shown, ShownEntry};
#[cfg(feature = "golden")]
pub(crate) use examination::write_history;
pub use examination::{Ending, Examination};
pub use harm::Harm;
pub use history::History;
pub use image::Image;
pub use sight::Sight;
pub(crate) use sweep::Flips;
pub use sweep::{Options, Report, sweep};
pub use verdict::{Judge, Verdict};
