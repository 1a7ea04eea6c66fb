//! `scorebench train` as a program.

use std::path::Path;
use std::process::{Command, Output};

fn train(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scorebench"));
    command.current_dir(folder).arg("train").args(args);
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[cfg(not(feature = "candle"))]
#[test]
fn a_program_without_networks_says_how_to_build_one_with() {
    let output = train(Path::new("."), &["any.toml"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("--features candle"), "{}", text(&output));
}

#[cfg(feature = "candle")]
mod with_networks {
    use super::*;

    const TINY: &str = "
        question = 'Does it train?'
        data = { name = 'digits', count = 100 }
        model = { block_out_channels = [4], down_block_types = ['DownBlock2D'], up_block_types = ['UpBlock2D'],
                  layers_per_block = 1, norm_num_groups = 2, attention_head_dim = 4 }
        run = { steps = 60, batch = 16, save_every = 3, log_every = 7 }
        expect = { held_out_below = 2.0 }";

    /// All files of a finished training but the manifest, which has a date.
    fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let names = [
            "loss.csv",
            "loss.svg",
            "model_index.json",
            "scheduler/scheduler_config.json",
            "training.json",
            "training.safetensors",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
        ];
        names.map(|name| (name.into(), std::fs::read(folder.join(name)).expect(name))).into()
    }

    #[test]
    fn a_killed_training_goes_on_and_ends_as_one_that_was_not_killed() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("tiny.toml"), TINY).expect("written");
        let done = train(home.path(), &["tiny.toml", "--out", "whole"]).output().expect("it runs");
        assert!(done.status.success(), "{}", text(&done));
        assert!(text(&done).contains("step 60: loss"), "{}", text(&done));

        let mut child =
            train(home.path(), &["tiny.toml", "--out", "cut", "--threads", "1"]).spawn().expect("it starts");
        let state = home.path().join("cut/tiny/training.safetensors");
        while !state.exists() && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        // SIGKILL.
        child.kill().expect("killed");
        let killed = !child.wait().expect("a child").success();
        assert!(killed, "it ended before it was killed");
        let done = train(home.path(), &["tiny.toml", "--out", "cut"]).output().expect("it runs");
        assert!(done.status.success(), "{}", text(&done));
        assert_eq!(files(&home.path().join("cut/tiny")), files(&home.path().join("whole/tiny")));

        let again = train(home.path(), &["tiny.toml", "--out", "cut"]).output().expect("it runs");
        assert!(again.status.success() && text(&again).contains("finished before"), "{}", text(&again));
        let other = ["tiny.toml", "--out", "cut", "--set", "run.steps=61"];
        let other = train(home.path(), &other).output().expect("it runs");
        assert_eq!(other.status.code(), Some(2));
        assert!(text(&other).contains("run.steps = 60, and now run.steps = 61"), "{}", text(&other));
    }

    #[test]
    fn a_loss_that_is_not_as_expected_fails() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("tiny.toml"), TINY).expect("written");
        let set = ["tiny.toml", "--set", "run.steps=2", "--set", "expect.held_out_below=0.01"];
        let done = train(home.path(), &set).output().expect("it runs");
        assert_eq!(done.status.code(), Some(1), "{}", text(&done));
        assert!(text(&done).contains("expected a held-out loss below 0.01"), "{}", text(&done));
    }

    #[test]
    fn errors_name_the_file() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("tiny.toml"), TINY.replace("question", "questoin")).expect("written");
        let done = train(home.path(), &["tiny.toml"]).output().expect("it runs");
        assert_eq!(done.status.code(), Some(2));
        assert!(text(&done).contains("tiny.toml: questoin"), "{}", text(&done));
        let done = train(home.path(), &["none.toml"]).output().expect("it runs");
        assert!(done.status.code() == Some(2) && text(&done).contains("none.toml"), "{}", text(&done));
    }
}
