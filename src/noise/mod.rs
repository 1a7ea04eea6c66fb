//! Where noise comes from; no other module but the data's own sampling makes random numbers.

mod path;
mod probe;
mod white;

pub use path::Path;
pub use probe::{Draw, Probe};
pub use white::{Purpose, White, generator};
