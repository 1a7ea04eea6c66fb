//! What the verb does in a program with networks.

use std::path::Path;
use std::time::{Duration, Instant};

use super::super::{Status, overrides, print, program, progress, say};
use super::Train;
use crate::error::{BadInput, Result};
use crate::experiment::{self, read_images};
use crate::net::device;
use crate::net::train::{Found, Recipe, Training, announce, forget, look};
use crate::plot;
use crate::record::LossRow;
use crate::results::{self, Store};

/// Starts the program once more with candle's own threads switched off, which only the environment can do. They spin while they
/// wait and let one caller in at a time, and candle adds gradients on them: with them two threads train at two thirds of
/// the speed. (Sampling asks nothing of them.)
#[cfg(unix)]
pub(super) fn without_candles_threads() {
    use std::os::unix::process::CommandExt;
    const KEY: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(KEY).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        // Where that fails, everything still works.
        let _ = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(KEY, "1").exec();
    }
}

#[cfg(not(unix))]
pub(super) fn without_candles_threads() {}

impl Train {
    pub(super) fn run(&self) -> Result<Status> {
        let device = device::open(&self.device)?;
        let in_file = |e: BadInput| e.file(&self.file);
        let recipe = Recipe::read(experiment::read_table(&self.file, &self.set)?).map_err(in_file)?;
        let expected = recipe.expect;
        let beside = self.file.parent().unwrap_or(Path::new("."));
        let images = read_images(recipe.data.clone(), beside).map_err(|e| in_file(e.within("data")))?;
        let training = Training::new(recipe, images, &device).map_err(in_file)?;

        let stem = self.file.file_stem().unwrap_or_default();
        let store = Store::open(&self.out.join(stem), self.fresh)?;
        let folder = store.folder().to_path_buf();
        let found = if self.fresh { Found::Nothing } else { look(&folder, &training.identity())? };
        let rows = match found {
            Found::Finished(rows) => {
                say(&format!("{}: finished before; --fresh trains again", folder.display()));
                store.finish(&[]).map_err(|e| refused(&folder, &e))?;
                rows
            }
            found => self.train(training, store, found == Found::Begun)?,
        };
        Ok(summary(&rows, expected))
    }

    /// From the start, or from where it was cut off.
    fn train(&self, mut training: Training, store: Store, go_on: bool) -> Result<Vec<LossRow>> {
        let folder = store.folder().to_path_buf();
        if go_on {
            training.resume(&folder)?;
        } else {
            forget(&folder)?;
        }
        announce(&folder, &training.identity(), false)?;
        self.steps(&mut training, &folder)?;
        training.save(&folder)?;
        let figure = plot::loss(training.rows(), &training.recipe().question);
        let files = [
            ("loss.svg".to_string(), figure.svg().into_bytes()),
            ("loss.png".to_string(), figure.png()),
            ("manifest.toml".to_string(), results::manifest(&self.command()).into_bytes()),
        ];
        store.finish(&files).map_err(|e| refused(&folder, &e))?;
        announce(&folder, &training.identity(), true)?;
        say(&format!("checkpoint, loss curve and figure in {}", folder.display()));
        Ok(training.rows().to_vec())
    }

    fn steps(&self, training: &mut Training, folder: &Path) -> Result<()> {
        let run = training.recipe().run;
        let (first, start) = (training.steps_done(), Instant::now());
        let bar = progress(run.steps, "{wide_bar} {pos}/{len} {msg}").with_position(first);
        bar.reset_eta();
        while training.steps_done() < run.steps {
            training.step().map_err(|e| e.file(&self.file))?;
            let done = training.steps_done();
            if done.is_multiple_of(run.save_every) {
                training.save(folder)?;
            }
            bar.set_position(done);
            bar.set_message(message(training, done - first, start.elapsed()));
        }
        bar.finish_and_clear();
        if training.steps_done() > first {
            let (updates, took) = (training.steps_done() - first, start.elapsed());
            let rate = (updates * run.batch as u64) as f64 / took.as_secs_f64();
            say(&format!("{updates} updates in {:.0} s, {rate:.0} images/s", took.as_secs_f64()));
        }
        Ok(())
    }

    fn command(&self) -> String {
        format!("{} train {}{}", program(), self.file.display(), overrides(&self.set))
    }
}

/// How fast, how good, how long yet.
fn message(training: &Training, updates: u64, took: Duration) -> String {
    let run = training.recipe().run;
    let each = took.as_secs_f64() / updates as f64;
    let left = (each * (run.steps - training.steps_done()) as f64) as u64;
    let loss = training.rows().last().map_or(String::new(), |row| {
        let value = row.held_out.or(row.loss).unwrap_or(f64::NAN);
        format!("loss {value:.4}, ")
    });
    format!("{:.0} images/s, {loss}{}:{:02} left", run.batch as f64 / each, left / 60, left % 60)
}

/// The last row, and whether it is as good as was expected.
fn summary(rows: &[LossRow], expected: Option<f64>) -> Status {
    let Some(last) = rows.last() else { return Status::Fine };
    let show = |v: Option<f64>| v.map_or("none".into(), |v| format!("{v:.5}"));
    print(&format!("step {}: loss {}, held out {}\n", last.step, show(last.loss), show(last.held_out)));
    match (expected, last.held_out.or(last.loss)) {
        (Some(most), Some(loss)) if loss >= most => {
            say(&format!("expected a held-out loss below {most}"));
            Status::Failed
        }
        _ => Status::Fine,
    }
}

fn refused(folder: &Path, e: &std::io::Error) -> BadInput {
    BadInput::about("", format!("cannot be written: {e}"), "").file(folder)
}
