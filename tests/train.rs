//! Training: the loss falls, a run that was cut off ends as one that was not, and its parts are what they are said to be.
#![cfg(feature = "candle")]

use std::path::Path;

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use scorebench::data::images::{Images, Select};
use scorebench::error::BadInput;
use scorebench::net::checkpoint::Checkpoint;
use scorebench::net::clock::Table;
use scorebench::net::train::{
    Found, Level, Objective, Optimiser, Recipe, State, Training, announce, averaging, forget, learning_rate,
    look,
};
use scorebench::parallel;

const EDM: &str = "{ name = 'edm' }";
const CHAINS: [&str; 3] = ["epsilon", "sample", "v_prediction"];

/// A network of a thousand weights; `rest` replaces what it names.
fn recipe(rest: &str) -> Result<Recipe, BadInput> {
    let text = "
        data = 'digits'
        seed = 1
        model = { block_out_channels = [4, 8], down_block_types = ['DownBlock2D', 'AttnDownBlock2D'],
                  up_block_types = ['AttnUpBlock2D', 'UpBlock2D'], layers_per_block = 1, norm_num_groups = 2 }
        optimiser = { lr = 1e-2, warm_up = 5, ema = 0.9 }
        run = { steps = 20, batch = 40, log_every = 6 }";
    let mut table: toml::Table = text.parse().expect("TOML");
    table.extend(rest.parse::<toml::Table>().expect("TOML"));
    Recipe::read(table)
}

fn digits(count: usize) -> Images {
    Images::digits(&Select { count: Some(count), ..Select::default() }).expect("there are as many")
}

fn training(rest: &str, images: usize) -> Training {
    Training::new(recipe(rest).expect("a recipe"), digits(images), &Device::Cpu).expect("it fits the images")
}

fn run(training: &mut Training, to: u64) {
    while training.steps_done() < to {
        training.step().expect("a step");
    }
}

/// All that a training is, to the last bit.
fn bits(training: &Training) -> (Vec<Vec<u32>>, String) {
    let row = |t: Tensor| t.to_vec1::<f32>().expect("a row").into_iter().map(f32::to_bits).collect();
    (training.state().rows().expect("rows").map(row).into(), format!("{:?}", training.rows()))
}

fn numbers(row: candle_core::Result<Tensor>) -> Vec<f32> {
    row.and_then(|row| row.to_vec1()).expect("a row")
}

#[test]
fn the_loss_of_every_prediction_falls() {
    let chains = CHAINS.map(|predict| format!("{{ name = 'ddpm-discrete', predict = '{predict}' }}"));
    for process in chains.iter().map(String::as_str).chain([EDM]) {
        let rest = format!("process = {process}\nrun = {{ steps = 120, batch = 16, log_every = 20 }}");
        let mut training = training(&rest, 40);
        run(&mut training, 120);
        let loss = |i: usize| {
            (training.rows()[i].loss.expect("a loss"), training.rows()[i].held_out.expect("one held out"))
        };
        let (first, last) = (loss(0), loss(5));
        assert!(last.0 < 0.85 * first.0 && last.1 < 0.9 * first.1, "{process}: {first:?} to {last:?}");
    }
}

#[test]
fn a_training_that_was_cut_off_ends_as_one_that_was_not_on_any_threads() {
    let mut whole = training("", 50);
    parallel::with_threads(Some(1), || run(&mut whole, 20)).expect("threads");
    for (threads, cut) in [(1, 10), (2, 10), (3, 7)] {
        let folder = tempfile::tempdir().expect("a folder");
        parallel::with_threads(Some(threads), || {
            let mut first = training("", 50);
            run(&mut first, cut);
            first.save(folder.path()).expect("saved");
            let mut second = training("", 50);
            second.resume(folder.path()).expect("resumed");
            assert_eq!(second.steps_done(), cut);
            run(&mut second, 20);
            assert!(bits(&second) == bits(&whole), "cut at {cut}, {threads} threads");
        })
        .expect("threads");
    }
    assert!(bits(&whole) != bits(&training("seed = 2", 50)));
}

#[test]
fn a_crash_between_two_files_of_a_save_loses_nothing() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut whole = training("", 50);
    run(&mut whole, 8);
    whole.save(one.path()).expect("saved");
    run(&mut whole, 15);
    whole.save(two.path()).expect("saved");
    // The curve and the checkpoint of step 15 beside the state of step 8.
    std::fs::copy(one.path().join("training.safetensors"), two.path().join("training.safetensors"))
        .expect("copied");
    run(&mut whole, 20);
    let mut resumed = training("", 50);
    resumed.resume(two.path()).expect("resumed");
    assert_eq!(resumed.steps_done(), 8);
    run(&mut resumed, 20);
    assert!(bits(&resumed) == bits(&whole));
}

#[test]
fn a_checkpoint_holds_the_averaged_weights_and_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut training =
        training("process = { name = 'ddpm-discrete', predict = 'v_prediction', beta = 'cosine' }", 50);
    run(&mut training, 3);
    training.save(folder.path()).expect("saved");
    let source = folder.path().to_str().expect("a path in UTF-8");
    let read = Checkpoint::open(source, &Device::Cpu, candle_core::DType::F32).expect("opened");
    assert_eq!(read.scheduler, training.recipe().process.scheduler());
    assert_eq!(read.config.in_channels, 1);
    let average = numbers(training.state().average());
    let layout = read.config.tensors().expect("a layout");
    let rows =
        layout.iter().map(|(name, _)| read.weights[name].flatten_all().expect("a row").to_vec1::<f32>());
    assert_eq!(rows.flat_map(|row| row.expect("f32")).collect::<Vec<_>>(), average);
    assert_ne!(numbers(training.state().weights()), average);
}

#[test]
fn classes_are_told_to_networks_that_know_them() {
    let model = "model = { block_out_channels = [4], down_block_types = ['DownBlock2D'], up_block_types = ['UpBlock2D'],
                           layers_per_block = 1, norm_num_groups = 2, attention_head_dim = 4,
                           num_class_embeds = 10 }";
    let mut training = training(model, 50);
    let before = numbers(training.state().weights());
    // What returns nothing at first hides the rest for some steps.
    run(&mut training, 4);
    let after = numbers(training.state().weights());
    let layout = recipe(model)
        .expect("a recipe")
        .config(digits(1).shape())
        .expect("a network")
        .tensors()
        .expect("a layout");
    let mut start = 0;
    for (name, shape) in layout {
        let end = start + shape.iter().product::<usize>();
        if name == "class_embedding.weight" {
            assert!(before[start..end] != after[start..end]);
            return;
        }
        start = end;
    }
    panic!("no embedding");
}

#[test]
fn updates_are_those_of_pytorch() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/adamw.csv");
    let rows: Vec<Vec<f64>> = csv::Reader::from_path(file)
        .expect("the golden file")
        .deserialize()
        .collect::<Result<_, _>>()
        .expect("rows of numbers");
    let rule = Optimiser { betas: [0.9, 0.99], weight_decay: 0.05, ema: 0.9, ..Optimiser::default() };
    let row = |numbers: &[f64]| Tensor::new(numbers, &Device::Cpu).expect("a row");
    let mut state = State::new(&row(&rows[0][8..])).expect("a state");
    let mut average = rows[0][8..].to_vec();
    for golden in &rows[1..] {
        let (update, lr, norm) = (golden[0] as u64, golden[1], golden[2]);
        state.update(&row(&golden[3..8]), norm, &rule, lr).expect("an update");
        assert_eq!(state.step, update);
        let keep = f64::min(0.9, update as f64 / (update + 9) as f64);
        average.iter_mut().zip(&golden[8..]).for_each(|(a, w)| *a = keep * *a + (1.0 - keep) * w);
        for (ours, theirs) in [(state.weights(), &golden[8..]), (state.average(), &average)] {
            let ours = ours.and_then(|row| row.to_vec1::<f64>()).expect("a row");
            let error = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(error < 1e-14, "update {update}: {error:e}");
        }
    }
}

#[test]
fn rates_warm_up_and_fall_and_averages_begin_short() {
    let rule = Optimiser { lr: 1.0, warm_up: 4, ..Optimiser::default() };
    let rates: Vec<f64> = (0..14).map(|step| learning_rate(&rule, step, 14)).collect();
    assert_eq!(rates[..5], [0.2, 0.4, 0.6, 0.8, 1.0]);
    assert!(
        (rates[9] - 0.5).abs() < 1e-15 && rates[4..].is_sorted_by(|a, b| a > b) && rates[13] > 0.0,
        "{rates:?}"
    );
    assert!((learning_rate(&rule, 14, 14)).abs() < 1e-15);
    assert_eq!([0, 10, 100_000].map(|step| averaging(0.99, step)), [0.1, 0.55, 0.99]);
}

/// `D(x)` that a network's answer stands for at a level.
fn denoised(predict: &str, at: &Level, x: f64, answer: f64, sigma_data: f64) -> f64 {
    match predict {
        "epsilon" => (x - at.sigma * answer) / at.alpha,
        "sample" => answer,
        "v_prediction" => at.alpha * x - at.sigma * answer,
        _ => {
            let whole = at.sigma.powi(2) + sigma_data.powi(2);
            sigma_data.powi(2) / whole * x + at.sigma * sigma_data / whole.sqrt() * answer
        }
    }
}

fn objective(process: &str) -> Objective {
    Objective::new(&recipe(&format!("process = {process}")).expect("a recipe").process)
}

proptest! {
    /// The target is the answer that stands for the clean image, and an answer that misses it costs what its denoised image does.
    #[test]
    fn the_same_denoiser_costs_the_same_in_every_form(
        u in 0.0..1.0f64, x0 in -1.0..1.0f64, eps in -3.0..3.0f64, miss in 0.1..2.0f64,
        weighting in prop::sample::select(vec!["epsilon", "sample", "v_prediction", "min_snr"]),
    ) {
        for predict in CHAINS.into_iter().chain(["edm"]) {
            let process = match predict {
                "edm" => format!("{{ name = 'edm', sigma_data = 0.7, weighting = '{weighting}' }}"),
                _ => format!("{{ name = 'ddpm-discrete', predict = '{predict}', weighting = '{weighting}' }}"),
            };
            let at = objective(&process).level(u);
            let x = at.alpha * x0 + at.sigma * eps;
            let target = at.target.0 * x0 + at.target.1 * eps;
            let scale = (x / at.alpha).abs() + 1.0 + at.sigma / at.alpha;
            prop_assert!((denoised(predict, &at, x, target, 0.7) - x0).abs() < 1e-13 * scale);
            let error = denoised(predict, &at, x, target + miss, 0.7) - x0;
            let snr = (at.alpha / at.sigma).powi(2);
            let on_image = match weighting {
                "epsilon" => snr,
                "sample" => 1.0,
                "v_prediction" if predict == "edm" => snr + 0.7f64.powi(-2),
                "v_prediction" => snr + 1.0,
                _ => snr.min(5.0),
            };
            let (ours, theirs) = (at.weight * miss * miss, on_image * error * error);
            prop_assert!((ours / theirs - 1.0).abs() < 1e-9 * scale.max(scale / error.abs()), "{ours} {theirs}");
        }
    }

    /// Of the affine networks, the one that answers for E[x0|x] has the least loss, on data N(0, s^2).
    #[test]
    fn the_loss_is_least_at_the_posterior_mean(u in 0.0..1.0f64, s in 0.1..2.0f64, x in -3.0..3.0f64) {
        for predict in CHAINS.into_iter().chain(["edm"]) {
            let process = match predict {
                "edm" => EDM.into(),
                _ => format!("{{ name = 'ddpm-discrete', predict = '{predict}' }}"),
            };
            let at = objective(&process).level(u);
            // F = a (network's input): a = E[input target]/E[input^2].
            let input = (at.scale * at.alpha * s, at.scale * at.sigma);
            let best = (input.0 * s * at.target.0 + input.1 * at.target.1) / (input.0.powi(2) + input.1.powi(2));
            let mean = at.alpha * s * s * x / ((at.alpha * s).powi(2) + at.sigma.powi(2));
            let d = denoised(predict, &at, x, best * at.scale * x, 0.5);
            prop_assert!((d - mean).abs() < 1e-12 * (1.0 + (x / at.alpha).abs()), "{predict}: {d} {mean}");
        }
    }

    #[test]
    fn continuous_times_are_uniform_and_on_the_networks_clock(u in 0.0..1.0f64) {
        for beta in ["linear", "scaled-linear", "cosine"] {
            let process = format!("{{ name = 'ddpm-discrete', beta = '{beta}' }}");
            let betas = recipe(&format!("process = {process}")).expect("a recipe").process.scheduler().betas();
            let at = objective(&process).level(u);
            let clock = Table::new(&betas.expect("a chain"));
            prop_assert!((at.time - 999.0 * u).abs() < 1e-9);
            prop_assert!((clock.time((at.alpha / at.sigma).ln()) - at.time).abs() < 1e-6);
            prop_assert!((at.alpha.hypot(at.sigma) - 1.0).abs() < 1e-15);
        }
    }
}

#[test]
fn discrete_times_are_the_steps_and_edms_are_log_normal() {
    let chain = objective("{ name = 'ddpm-discrete', steps = 10, time = 'discrete' }");
    let times: Vec<f64> = (0..100).map(|i| chain.level((f64::from(i) + 0.5) / 100.0).time).collect();
    assert!((0..10).all(|t| times.iter().filter(|x| **x == f64::from(t)).count() == 10));
    assert!((chain.level(0.0).sigma.powi(2) - 1e-4).abs() < 1e-15);
    let edm = objective("{ name = 'edm', P_mean = -1.0, P_std = 2.0 }");
    let log = |u| edm.level(u).sigma.ln();
    assert!((log(0.5) + 1.0).abs() < 1e-12 && (log(0.841_344_746_068_543) - 1.0).abs() < 1e-9);
    assert!((edm.level(0.5).time + 0.25).abs() < 1e-12 && log(0.0).is_finite());
}

#[test]
fn another_recipe_in_the_same_folder_is_told_by_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = training("", 50);
    let identity = first.identity();
    assert_eq!(look(folder.path(), &identity).expect("looked"), Found::Nothing);
    announce(folder.path(), &identity, false).expect("written");
    run(&mut first, 6);
    first.save(folder.path()).expect("saved");
    assert_eq!(look(folder.path(), &identity).expect("looked"), Found::Begun);
    announce(folder.path(), &identity, true).expect("written");
    assert_eq!(look(folder.path(), &identity).expect("looked"), Found::Finished(first.rows().to_vec()));
    let said =
        |rest: &str| look(folder.path(), &training(rest, 50).identity()).expect_err("another").to_string();
    let other = "optimiser = { lr = 2e-2, warm_up = 5, ema = 0.9 }";
    assert!(
        said(other).contains("optimiser.lr = 0.01, and now optimiser.lr = 0.02; use --fresh"),
        "{}",
        said(other)
    );
    assert!(said("seed = 7").contains("seed = 1, and now seed = 7"));
    let fewer = look(folder.path(), &training("", 40).identity()).expect_err("other images").to_string();
    assert!(fewer.contains("images ="), "{fewer}");
    // How often it is saved is no matter.
    let run = "run = { steps = 20, batch = 40, log_every = 6, save_every = 3 }";
    assert!(look(folder.path(), &training(run, 50).identity()).is_ok());
    std::fs::write(folder.path().join("training.safetensors"), b"torn").expect("written");
    let torn = training("", 50).resume(folder.path()).expect_err("torn").to_string();
    assert!(torn.contains("training.safetensors") && torn.contains("--fresh"), "{torn}");
    forget(folder.path()).expect("forgotten");
    assert_eq!(look(folder.path(), &identity).expect("looked"), Found::Nothing);
}

#[test]
fn a_training_that_diverges_says_so() {
    let mut training = training("optimiser = { lr = 1e30, warm_up = 0, clip_norm = 1e30 }", 50);
    let said = (0..5).find_map(|_| training.step().err()).expect("it diverges").to_string();
    assert!(said.contains("optimiser.lr") && said.contains("at step"), "{said}");
}

#[test]
fn what_cannot_be_trained_is_said_by_key() {
    for (rest, wants) in [
        ("optimiser = { learning_rate = 1.0 }", "optimiser.learning_rate"),
        ("optimiser = { lr = 0.0 }", "optimiser.lr = 0.0"),
        ("optimiser = { ema = 1.0 }", "optimiser.ema = 1.0"),
        ("optimiser = { betas = [0.9, 1.0] }", "optimiser.betas[1]"),
        ("run = { steps = 0, batch = 1 }", "run.steps = 0"),
        ("run = { batch = 1 }", "run.steps"),
        ("process = { name = 'edn' }", "did you mean \"edm\"?"),
        ("process = { name = 'ddpm-discrete', beta = 'cosin' }", "process.beta"),
        ("process = { name = 'ddpm-discrete', beta_start = 0.1 }", "beta_start = 0.1 and beta_end"),
        ("process = { name = 'edm', p_mean = 1.0 }", "P_mean"),
        ("model = { in_channels = 3 }", "model.in_channels = 3 follows from the data"),
        ("model = { block_channels = [8] }", "did you mean \"block_out_channels\"?"),
        ("model = { block_out_channels = [8] }", "model.down_block_types"),
        ("model = { dropout = 0.1 }", "model.dropout"),
        ("model = { time_embedding_type = 'fourier' }", "model.time_embedding_type"),
        ("expect = { held_out = 1.0 }", "expect.held_out"),
    ] {
        let said = recipe(rest).expect_err(rest).to_string();
        assert!(said.contains(wants), "{rest}: {said}");
    }
    let odd = Images::digits(&Select::default()).expect("digits");
    let model = "block_out_channels = [8, 8, 8, 8, 8], norm_num_groups = 8, layers_per_block = 1";
    let blocks = |kind: &str| format!("[{}]", vec![format!("'{kind}'"); 5].join(", "));
    let deep = format!(
        "model = {{ {model}, down_block_types = {}, up_block_types = {} }}",
        blocks("DownBlock2D"),
        blocks("UpBlock2D")
    );
    let said = Training::new(recipe(&deep).expect("fit for larger images"), odd, &Device::Cpu).err();
    assert!(said.expect("too deep").to_string().contains("model.block_out_channels"));
}
