//! Threads. The only file that names rayon: what runs here gives the same result on any number of them.

use rayon::prelude::*;

use crate::error::{BadInput, Result};

/// `f` of every item, in the order of the items, on all threads of the current pool.
pub fn map<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    items.par_iter().map(f).collect()
}

/// Runs `f` on a pool of `threads` (all cores if `None`).
///
/// # Errors
/// The system refuses to start threads.
pub fn with_threads<R: Send>(threads: Option<usize>, f: impl FnOnce() -> R + Send) -> Result<R> {
    let refused =
        |e| BadInput::about("--threads", format!("cannot be started: {e}"), "give a smaller number");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    Ok(pool.map_err(refused)?.install(f))
}

/// Threads of the current pool.
pub fn threads() -> usize {
    rayon::current_num_threads()
}
