//! Log stores written for openraft, right but for one fault each.

mod fault;
mod line_0_10;
mod line_0_9;
mod memory;

pub(crate) use fault::StorageFault;
pub(crate) use line_0_9::subject as subject_0_9;
pub(crate) use line_0_10::subject as subject_0_10;
