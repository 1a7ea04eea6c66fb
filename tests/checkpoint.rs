//! Checkpoints: every layout that diffusers writes is read, what is wrong is said at once, and what is saved is read back.

#![cfg(feature = "candle")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};
use scorebench::net::checkpoint::Checkpoint;
use scorebench::net::scheduler::{BetaSchedule, Betas, Edm, Levels, Prediction, Scheduler};

const CPU: &Device = &Device::Cpu;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unet").join(name)
}

fn open(folder: &Path) -> scorebench::error::Result<Checkpoint> {
    Checkpoint::open(folder.to_str().unwrap(), CPU, DType::F32)
}

fn refusal(folder: &Path) -> String {
    open(folder).err().expect("a refusal").to_string()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).map(drop).unwrap()
        }
    }
}

/// A copy of a fixture to be spoilt.
fn copied(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(name), folder.path());
    folder
}

type Stored = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Changes the weights of a checkpoint whose files are at the root.
fn edit(folder: &Path, change: impl FnOnce(&mut Stored)) {
    let file = folder.join("diffusion_pytorch_model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter();
    let floats =
        |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let mut stored =
        tensors.map(|(name, view)| (name, (view.shape().to_vec(), floats(view.data())))).collect();
    change(&mut stored);
    let raw: Vec<_> = stored
        .iter()
        .map(|(name, (shape, data))| {
            (name, shape, data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
        })
        .collect();
    let views = raw
        .iter()
        .map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
    serialize_to_file(views, None, &file).unwrap();
}

#[test]
fn all_that_is_wrong_with_the_tensors_is_said_in_one_error() {
    let folder = copied("cifar-like");
    edit(folder.path(), |stored| {
        stored.remove("conv_in.bias");
        stored.remove("mid_block.attentions.0.query.weight");
        stored.insert("conv_out.bias".into(), (vec![2], vec![0.0; 2]));
        stored.insert("down_blocks.7.oddity".into(), (vec![1], vec![0.0]));
    });
    let said = refusal(folder.path());
    for part in [
        "diffusion_pytorch_model.safetensors",
        "conv_in.bias [4] is missing",
        "mid_block.attentions.0.to_q.weight [8, 8] is missing",
        "conv_out.bias is [2] and should be [3]",
        "down_blocks.7.oddity [1] is of no layer",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn weights_that_are_not_finite_are_named() {
    let folder = copied("cifar-like");
    edit(folder.path(), |stored| {
        stored.get_mut("conv_in.weight").unwrap().1[3] = f32::NAN;
        stored.get_mut("conv_out.bias").unwrap().1.fill(f32::INFINITY);
        stored.get_mut("conv_in.bias").unwrap().1[0] = 1e30;
    });
    let said = refusal(folder.path());
    assert!(said.contains("conv_in.weight (1 of 108 values), conv_out.bias (3 of 3 values)"), "{said}");
    assert!(!said.contains("conv_in.bias"), "{said}");
    // What overflows in the type asked for is not finite either.
    let half = Checkpoint::open(folder.path().to_str().unwrap(), CPU, DType::F16).err().unwrap().to_string();
    assert!(half.contains("as f16") && half.contains("conv_in.bias (1 of 4 values)"), "{half}");
}

#[test]
fn pickles_are_refused_by_name() {
    let folder = copied("cifar-like");
    fs::remove_file(folder.path().join("diffusion_pytorch_model.safetensors")).unwrap();
    assert!(refusal(folder.path()).contains("diffusion_pytorch_model.safetensors is missing"));
    fs::write(folder.path().join("diffusion_pytorch_model.bin"), b"pickle").unwrap();
    let said = refusal(folder.path());
    assert!(
        said.contains("diffusion_pytorch_model.bin is a pickle") && said.contains("save_pretrained"),
        "{said}"
    );
    let said = refusal(&folder.path().join("diffusion_pytorch_model.bin"));
    assert!(said.contains("is a pickle"), "{said}");
}

#[test]
fn what_is_no_checkpoint_is_refused_with_the_file() {
    let empty = tempfile::tempdir().unwrap();
    assert!(refusal(empty.path()).contains("config.json is missing, here and in unet/"));
    assert!(refusal(Path::new("no such/folder/at all")).contains("no folder here"));
    let folder = copied("cifar-like");
    fs::write(folder.path().join("scheduler_config.json"), "{}}").unwrap();
    let said = refusal(folder.path());
    assert!(said.contains("scheduler_config.json") && said.contains("not a JSON object"), "{said}");
    let folder = copied("cifar-like");
    let file = folder.path().join("diffusion_pytorch_model.safetensors");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 7]).unwrap();
    let said = refusal(folder.path());
    assert!(
        said.contains("diffusion_pytorch_model.safetensors") && said.contains("no safetensors file"),
        "{said}"
    );
    let config = r#"{"_class_name": "UNet2DModel", "down_block_types": ["FancyBlock"], "up_block_types": ["UpBlock2D"],
                     "block_out_channels": [8]}"#;
    fs::write(folder.path().join("config.json"), config).unwrap();
    let said = refusal(folder.path());
    assert!(said.contains("config.json: down_block_types = \"FancyBlock\" is not supported"), "{said}");
}

#[test]
fn a_checkpoint_written_is_read_back_the_same() {
    for name in ["cifar-like", "classes", "fourier", "one-level", "resnet-resizing", "learned"] {
        let (read, folder) = (open(&fixture(name)).unwrap(), tempfile::tempdir().unwrap());
        Checkpoint::save(folder.path(), &read.config, &read.scheduler, &read.weights).unwrap();
        let again = open(folder.path()).unwrap();
        assert_eq!(again.config, read.config);
        assert_eq!(again.scheduler, Scheduler { assumed: false, ..read.scheduler });
        assert_eq!(again.weights.len(), read.weights.len());
        for (name, w) in &read.weights {
            let difference = (w - &again.weights[name]).unwrap().abs().unwrap().sum_all().unwrap();
            assert_eq!(difference.to_scalar::<f32>().unwrap(), 0.0, "{name}");
        }
        let files: Vec<_> =
            folder.path().join("unet").read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(files.len(), 2, "nothing but the two files: {files:?}");
    }
}

#[test]
fn weights_that_do_not_fit_are_not_saved() {
    let (mut read, folder) = (open(&fixture("cifar-like")).unwrap(), tempfile::tempdir().unwrap());
    read.weights.remove("conv_in.bias");
    read.weights.insert("conv_out.bias".into(), Tensor::new(&[0.0_f32, f32::NAN, 0.0], CPU).unwrap());
    let saved = Checkpoint::save(folder.path(), &read.config, &read.scheduler, &read.weights);
    let said = saved.unwrap_err().to_string();
    assert!(
        said.contains("conv_in.bias [4] is missing") && said.contains("conv_out.bias (1 of 3 values)"),
        "{said}"
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn the_hash_is_of_what_is_stored_and_not_of_how() {
    let whole = open(&fixture("one-level")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    Checkpoint::save(folder.path(), &whole.config, &whole.scheduler, &whole.weights).unwrap();
    let other = Checkpoint::open(folder.path().to_str().unwrap(), CPU, DType::F64).unwrap();
    assert_eq!(other.hash, whole.hash, "in pieces and in one file, in f32 and f64");
    let one_more = |name: &str, change: &dyn Fn(&Path)| {
        let folder = copied(name);
        change(folder.path());
        open(folder.path()).unwrap().hash
    };
    let plain = open(&fixture("cifar-like")).unwrap().hash;
    let weight = one_more("cifar-like", &|f| edit(f, |s| s.get_mut("conv_in.bias").unwrap().1[0] += 1e-6));
    let betas = one_more("cifar-like", &|f| {
        fs::write(f.join("scheduler_config.json"), r#"{"beta_end": 0.019}"#).unwrap();
    });
    let config = one_more("cifar-like", &|f| {
        let text = fs::read_to_string(f.join("config.json")).unwrap();
        fs::write(f.join("config.json"), text.replace("\"norm_eps\": 1e-06", "\"norm_eps\": 1e-05")).unwrap();
    });
    let all = [&plain, &weight, &betas, &config];
    assert!((0..4).all(|i| (0..i).all(|j| all[i] != all[j])), "{all:?}");
}

/// The hub's cache: `models--owner--name/refs/main` names the commit whose snapshot is used.
#[test]
fn repositories_are_read_from_the_hubs_cache() {
    let home = tempfile::tempdir().unwrap();
    let repository = home.path().join("hub/models--google--ddpm-cifar10-32");
    copy(&fixture("cifar-like"), &repository.join("snapshots/0123abcd"));
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), "0123abcd").unwrap();
    let found = in_process("found", home.path(), "google/ddpm-cifar10-32");
    assert_eq!(found, format!("ok {}", open(&fixture("cifar-like")).unwrap().hash));
    assert_eq!(in_process("commit", home.path(), "google/ddpm-cifar10-32@0123abcd"), found);
    for (case, id) in [("other", "google/ddpm-cifar10-64"), ("revision", "google/ddpm-cifar10-32@v2")] {
        let said = in_process(case, home.path(), id);
        let cache = home.path().join("hub");
        assert!(said.contains("is not in") && said.contains(cache.to_str().unwrap()), "{said}");
    }
}

/// What opening `id` says in a process of its own, whose environment points at `home` and away from the network.
fn in_process(case: &str, home: &Path, id: &str) -> String {
    let out = home.join(case);
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "opens_what_the_environment_names", "--ignored"])
        .env_remove("HF_HUB_CACHE")
        .env_remove("HUGGINGFACE_HUB_CACHE")
        .envs([("HF_HOME", home.as_os_str()), ("HF_HUB_OFFLINE", "1".as_ref()), ("OPEN_ID", id.as_ref())])
        .env("OPEN_OUT", &out)
        .output()
        .unwrap();
    assert!(status.status.success(), "{status:?}");
    fs::read_to_string(out).unwrap()
}

#[test]
#[ignore = "run by repositories_are_read_from_the_hubs_cache in an environment of its own"]
fn opens_what_the_environment_names() {
    let Ok(id) = std::env::var("OPEN_ID") else { return };
    let said = match Checkpoint::open(&id, CPU, DType::F32) {
        Ok(found) => format!("ok {}", found.hash),
        Err(e) => e.to_string(),
    };
    fs::write(std::env::var("OPEN_OUT").unwrap(), said).unwrap();
}

/// A repository with its own name and no network: what was tried is said. With the feature `hub` the request fails.
#[test]
#[cfg(feature = "hub")]
fn a_repository_that_cannot_be_fetched_is_a_clear_error() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("said");
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "opens_what_the_environment_names", "--ignored"])
        .env_remove("HF_HUB_OFFLINE")
        .envs([("HF_HOME", home.path().as_os_str()), ("HF_ENDPOINT", "http://127.0.0.1:9".as_ref())])
        .env("OPEN_ID", "google/ddpm-cifar10-32")
        .env("OPEN_OUT", &out)
        .status()
        .unwrap();
    assert!(status.success());
    let said = fs::read_to_string(out).unwrap();
    assert!(said.contains("google/ddpm-cifar10-32") && said.contains("cannot be fetched"), "{said}");
}

#[test]
fn schedulers_say_what_their_files_say() {
    let scheduler = |name: &str| open(&fixture(name)).unwrap().scheduler;
    let cifar = scheduler("cifar-like");
    assert!(cifar.clip_sample && cifar.clip_sample_range == 1.0 && !cifar.thresholding && !cifar.assumed);
    assert_eq!((cifar.prediction_type, cifar.num_train_timesteps), (Prediction::Epsilon, 1000));
    let classes = scheduler("classes");
    assert!(!classes.clip_sample && classes.prediction_type == Prediction::VPrediction);
    let Levels::Betas(betas) = &classes.levels else { panic!("{classes:?}") };
    assert_eq!(betas.beta_schedule, BetaSchedule::SquaredcosCapV2);
    let shift = scheduler("scale-shift");
    assert!(shift.thresholding && shift.prediction_type == Prediction::Sample);
    assert_eq!((shift.dynamic_thresholding_ratio, shift.sample_max_value), (0.995, 1.0));
    let ve = scheduler("fourier");
    assert_eq!((ve.levels, ve.prediction_type), (Levels::Ve(0.01, 1348.0), Prediction::Score));
    let edm = scheduler("resnet-resizing");
    assert_eq!(edm.levels, Levels::Edm(Edm { sigma_min: 0.002, sigma_max: 80.0, sigma_data: 0.5 }));
    let said = Scheduler::from_json("{}").unwrap();
    assert_eq!(
        scheduler("learned"),
        Scheduler { assumed: true, ..said },
        "what a class says of itself is assumed of none"
    );
}

/// tests/golden/unet.py asked diffusers, which computes betas in f32.
#[test]
fn betas_and_preconditioning_are_those_of_diffusers() {
    let mut seen = [0, 0];
    for line in fs::read_to_string(fixture("schedulers.jsonl")).unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let scheduler = Scheduler::from_json(&row["config"].to_string()).unwrap();
        let numbers =
            |key: &str| row[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
        let close =
            |got: f64, want: f64, by: f64| assert!((got - want).abs() <= by, "{line}: {got} against {want}");
        if row.get("betas").is_some() {
            let (betas, wanted) = (scheduler.betas().unwrap(), numbers("betas"));
            // 1 - (1 - beta) of f32 numbers, where they are computed so, is good to 6e-8, and to more after a product of
            // a thousand.
            for (at, want) in numbers("at").iter().zip(wanted) {
                close(
                    betas[*at as usize],
                    want,
                    1e-7 * want + if scheduler_rescales(&scheduler) { 2e-6 } else { 3e-8 },
                );
            }
            seen[0] += 1;
        } else {
            let c = scheduler.preconditioning(row["sigma"].as_f64().unwrap()).unwrap();
            for (got, want) in
                [c.c_skip, c.c_out, c.c_in, c.c_noise].into_iter().zip(numbers("preconditioning"))
            {
                close(got, want, 1e-12 * (1.0 + want.abs()));
            }
            seen[1] += 1;
        }
    }
    assert!(seen[0] >= 15 && seen[1] == 6, "{seen:?}");
}

fn scheduler_rescales(scheduler: &Scheduler) -> bool {
    matches!(&scheduler.levels, Levels::Betas(betas) if betas.rescale_betas_zero_snr)
}

#[test]
fn schedulers_survive_being_written() {
    let trained = Betas { trained_betas: Some(vec![0.1, 0.2]), ..Betas::default() };
    for scheduler in [
        Scheduler::ddpm(trained, 2, Prediction::VPrediction),
        Scheduler::edm(Edm { sigma_min: 0.01, sigma_max: 50.0, sigma_data: 0.25 }),
        Scheduler::ve(0.02, 100.0),
        Scheduler { clip_sample: true, clip_sample_range: 2.0, ..Scheduler::assumed() },
        Scheduler::from_json(
            r#"{"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3, "thresholding": true}"#,
        )
        .unwrap(),
        Scheduler::from_json(r#"{"_class_name": "LCMScheduler", "variance_type": "learned_range"}"#).unwrap(),
    ] {
        let again = Scheduler::from_json(&scheduler.to_json()).unwrap();
        assert_eq!(again, Scheduler { assumed: false, ..scheduler });
    }
}

#[test]
fn schedulers_that_are_not_supported_are_refused_by_key_and_value() {
    for (json, parts) in [
        (
            r#"{"_class_name": "FlowMatchEulerDiscreteScheduler"}"#,
            ["_class_name", "FlowMatchEuler", "DDPMScheduler"],
        ),
        (r#"{"prediction_type": "flow_prediction"}"#, ["prediction_type", "flow_prediction", "v_prediction"]),
        (r#"{"beta_schedule": "cosine"}"#, ["beta_schedule", "cosine", "squaredcos_cap_v2"]),
        (
            r#"{"_class_name": "EDMEulerScheduler", "prediction_type": "sample"}"#,
            ["prediction_type", "Sample", "epsilon"],
        ),
        (r#"{"num_train_timesteps": 0}"#, ["num_train_timesteps", "0", "at least 1"]),
        (r#"{"beta_end": 1.5}"#, ["beta_end", "1.0000", "between 0 and 1"]),
        (r#"{"trained_betas": [0.1]}"#, ["trained_betas", "1 values", "1000"]),
        (
            r#"{"_class_name": "ScoreSdeVeScheduler", "sigma_min": 5000}"#,
            ["sigma_min", "5000", "sigma_max = 1348"],
        ),
        (r#"{"_class_name": "EDMEulerScheduler", "sigma_data": 0}"#, ["sigma_data", "0", "positive"]),
        (
            r#"{"_class_name": "EulerDiscreteScheduler", "timestep_type": "continuous"}"#,
            ["timestep_type", "continuous", "discrete"],
        ),
        (r#"{"clip_sample": null}"#, ["clip_sample", "null", "cannot be read"]),
    ] {
        let said = Scheduler::from_json(json).unwrap_err().to_string();
        assert!(parts.iter().all(|part| said.contains(part)), "{json}: {said}");
    }
}
