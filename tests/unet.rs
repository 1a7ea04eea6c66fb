//! The U-Net is diffusers' `UNet2DModel`: the same tensors in the same order, the same outputs, and right gradients.

#![cfg(feature = "candle")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};
use safetensors::SafeTensors;
use scorebench::net::checkpoint::Checkpoint;
use scorebench::net::unet::{Config, UNet2DModel};

const CPU: &Device = &Device::Cpu;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unet")
}

/// The cases under `root`: folders with a checkpoint and io.safetensors.
fn cases(root: &Path) -> Vec<PathBuf> {
    let entries = root.read_dir().expect("a folder of cases").map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.join("io.safetensors").exists()).collect();
    cases.sort();
    cases
}

fn open(case: &Path, dtype: DType) -> Checkpoint {
    Checkpoint::open(case.to_str().unwrap(), CPU, dtype).unwrap()
}

/// Inputs and outputs by name, and the parameters that diffusers lists.
fn io(case: &Path) -> (BTreeMap<String, Tensor>, Vec<(String, Vec<usize>)>) {
    let bytes = std::fs::read(case.join("io.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let layout = serde_json::from_str(&header.metadata().as_ref().unwrap()["layout"]).unwrap();
    (candle_core::safetensors::load_buffer(&bytes, CPU).unwrap().into_iter().collect(), layout)
}

fn values(x: &Tensor) -> Vec<f64> {
    x.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

/// Greatest difference, over the root mean square of `want`.
fn distance(got: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(got.dims(), want.dims());
    let (got, want) = (values(got), values(want));
    let rms = (want.iter().map(|v| v * v).sum::<f64>() / want.len() as f64).sqrt();
    got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / rms
}

/// How far outputs in f32 and in f64 are from diffusers' own, and its time steps' precision kept.
fn distances(case: &Path) -> [f64; 2] {
    let (io, _) = io(case);
    [(DType::F32, "y"), (DType::F64, "y64")].map(|(dtype, want)| {
        let model = open(case, dtype).model().unwrap();
        let x = io["x"].to_dtype(dtype).unwrap();
        let labels = io.get("labels").map(|labels| match labels.dtype() {
            DType::I64 => labels.to_dtype(DType::U32).unwrap(),
            _ => labels.clone(),
        });
        let y = model.forward(&x, &io["t"], labels.as_ref()).unwrap();
        assert_eq!(y.dtype(), dtype);
        distance(&y, &io[want])
    })
}

#[test]
fn outputs_are_those_of_diffusers() {
    let cases = cases(&fixtures());
    assert!(cases.len() >= 9);
    let mut worst = [0.0_f64; 2];
    for case in &cases {
        let found = distances(case);
        println!("{:?} f32 {:.1e} f64 {:.1e}", case.file_name().unwrap(), found[0], found[1]);
        worst = [worst[0].max(found[0]), worst[1].max(found[1])];
    }
    assert!(worst[0] < 1e-5 && worst[1] < 1e-6, "worst {worst:?}");
}

/// `python tests/golden/unet.py fuzz DIR 100 0` makes the cases.
///
/// torch's f32 is up to 1.3e-5 from its own f64 where a norm meets hardly any variance, which is allowed for; its f32 logarithm
/// is at times one unit in the last place off, which moves Fourier angles (and the f64 network, fed times in f32) by 1e-5.
#[test]
#[ignore = "needs cases made by diffusers: SCOREBENCH_UNET_FIXTURES=DIR"]
fn outputs_of_random_configurations_are_those_of_diffusers() {
    let root = std::env::var("SCOREBENCH_UNET_FIXTURES").expect("SCOREBENCH_UNET_FIXTURES");
    let (mut bad, mut worst) = (Vec::new(), [0.0_f64; 2]);
    for case in cases(Path::new(&root)) {
        let (io, layout) = io(&case);
        assert_eq!(open(&case, DType::F32).config.tensors().unwrap(), layout, "{case:?}");
        let (found, own) = (distances(&case), distance(&io["y"], &io["y64"]));
        worst = [worst[0].max(found[0]), worst[1].max(found[1])];
        if !(found[0] < 1e-5 + own && found[1] < 1e-5) {
            bad.push((case, found, own));
        }
    }
    println!("worst {worst:?}");
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn parameters_are_those_of_diffusers_in_its_order() {
    for case in cases(&fixtures()) {
        let (_, layout) = io(&case);
        assert_eq!(open(&case, DType::F32).config.tensors().unwrap(), layout, "{case:?}");
    }
}

/// A network with most that can be differentiated, small enough for finite differences.
fn small() -> Config {
    Config::from_json(
        r#"{"down_block_types": ["AttnDownBlock2D", "ResnetDownsampleBlock2D", "DownBlock2D"],
            "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D"], "block_out_channels": [4, 4, 4],
            "norm_num_groups": 2, "attention_head_dim": 2, "layers_per_block": 1, "upsample_type": "resnet",
            "act_fn": "mish", "resnet_time_scale_shift": "scale_shift"}"#,
    )
    .unwrap()
}

/// The rest of it.
fn small_skip() -> Config {
    Config::from_json(
        r#"{"down_block_types": ["SkipDownBlock2D", "SkipDownBlock2D"], "up_block_types": ["SkipUpBlock2D", "SkipUpBlock2D"],
            "block_out_channels": [4, 4], "norm_num_groups": null, "attention_head_dim": null, "layers_per_block": 1,
            "time_embedding_type": "fourier"}"#,
    )
    .unwrap()
}

/// Weights of some size and no symmetry, without a generator.
fn weights(config: &Config, dtype: DType) -> BTreeMap<String, Tensor> {
    let mut state = 1.0_f64;
    let mut next = || {
        state = (state * 997.0 + 0.123).fract();
        state - 0.5
    };
    let tensors = config.tensors().unwrap().into_iter();
    tensors
        .map(|(name, shape)| {
            let values: Vec<f64> = (0..shape.iter().product()).map(|_| next()).collect();
            (name, Tensor::from_vec(values, shape, CPU).unwrap().to_dtype(dtype).unwrap())
        })
        .collect()
}

fn images(n: usize, channels: usize, side: usize) -> Tensor {
    let count = n * channels * side * side;
    let values: Vec<f64> = (0..count).map(|i| (1.7 * i as f64).sin()).collect();
    Tensor::from_vec(values, (n, channels, side, side), CPU).unwrap()
}

#[test]
fn gradients_agree_with_finite_differences() {
    gradients_agree(small());
    gradients_agree(small_skip());
}

fn gradients_agree(config: Config) {
    let plain = weights(&config, DType::F64);
    let (x, t) = (Var::from_tensor(&images(1, 3, 4)).unwrap(), Tensor::new(&[3.7_f64], CPU).unwrap());
    let loss = |w: &BTreeMap<String, Tensor>, x: &Tensor| {
        let y = UNet2DModel::new(&config, w).unwrap().forward(x, &t, None).unwrap();
        (y.sqr().unwrap() + y.sin().unwrap()).unwrap().sum_all().unwrap()
    };
    let vars: BTreeMap<String, Var> =
        plain.iter().map(|(name, w)| (name.clone(), Var::from_tensor(w).unwrap())).collect();
    let tensors: BTreeMap<String, Tensor> =
        vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let grads = loss(&tensors, &x).backward().unwrap();

    let moved = |w: &Tensor, place: usize, by: f64| {
        let mut all = values(w);
        all[place] += by;
        Tensor::from_vec(all, w.shape(), CPU).unwrap()
    };
    let h = 1e-5;
    let check = |what: &str, slope: f64, up: Tensor, down: Tensor| {
        let up = up.to_scalar::<f64>().unwrap();
        let measured = (up - down.to_scalar::<f64>().unwrap()) / (2.0 * h);
        assert!((slope - measured).abs() < 1e-6 * (1.0 + up.abs()), "{what}: {slope} against {measured}");
    };
    for (name, w) in &plain {
        let place = w.elem_count() / 2;
        let slope = values(grads.get(&vars[name]).unwrap())[place];
        let with = |by| {
            let mut all = plain.clone();
            all.insert(name.clone(), moved(w, place, by));
            loss(&all, &x)
        };
        check(name, slope, with(h), with(-h));
    }
    let slope = values(grads.get(&x).unwrap())[7];
    check("x", slope, loss(&plain, &moved(&x, 7, h)), loss(&plain, &moved(&x, 7, -h)));
}

#[test]
fn images_of_a_batch_do_not_see_each_other() {
    let config = small();
    let model = UNet2DModel::new(&config, &weights(&config, DType::F64)).unwrap();
    let (x, t) = (images(3, 3, 8), Tensor::new(&[1.0, 500.5, 12.0], CPU).unwrap());
    let together = model.forward(&x, &t, None).unwrap();
    for i in 0..3 {
        let alone = model.forward(&x.narrow(0, i, 1).unwrap(), &t.narrow(0, i, 1).unwrap(), None).unwrap();
        assert!(distance(&alone, &together.narrow(0, i, 1).unwrap()) < 1e-12);
    }
}

#[test]
fn a_network_follows_the_variables_it_was_made_of() {
    let config = small();
    let vars: BTreeMap<String, Var> = weights(&config, DType::F32)
        .into_iter()
        .map(|(name, w)| (name, Var::from_tensor(&w).unwrap()))
        .collect();
    let tensors = vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let model = UNet2DModel::new(&config, &tensors).unwrap();
    let (x, t) = (images(1, 3, 4).to_dtype(DType::F32).unwrap(), Tensor::new(&[3.0_f32], CPU).unwrap());
    let before = model.forward(&x, &t, None).unwrap();
    let bias = &vars["conv_out.bias"];
    bias.set(&(bias.as_tensor() + 1.0).unwrap()).unwrap();
    let after = model.forward(&x, &t, None).unwrap();
    assert!(distance(&(after - 1.0).unwrap(), &before) < 1e-6);
}

#[test]
fn half_precision_weights_on_the_processor_compute_in_f32() {
    let config = small();
    let full = UNet2DModel::new(&config, &weights(&config, DType::F32)).unwrap();
    let (x, t) = (images(1, 3, 4).to_dtype(DType::F32).unwrap(), Tensor::new(&[3.0_f32], CPU).unwrap());
    let want = full.forward(&x, &t, None).unwrap();
    for (dtype, rounding) in [(DType::F16, 1e-2), (DType::BF16, 1e-1)] {
        let model = UNet2DModel::new(&config, &weights(&config, dtype)).unwrap();
        assert_eq!(model.dtype(), DType::F32);
        let found = distance(&model.forward(&x, &t, None).unwrap(), &want);
        assert!(0.0 < found && found < rounding, "{dtype:?}: {found}");
    }
}

/// Time steps in f64 are for a network smooth in time: f32 rounds angles by 3e-5 near step 1000.
#[test]
fn time_steps_in_f64_are_embedded_in_f64() {
    let config = small();
    let model = UNet2DModel::new(&config, &weights(&config, DType::F64)).unwrap();
    let x = images(1, 3, 4);
    let at = |t: f64, dtype| {
        let t = Tensor::new(&[t], CPU).unwrap().to_dtype(dtype).unwrap();
        model.forward(&x, &t, None).unwrap()
    };
    let rounding = distance(&at(901.5, DType::F32), &at(901.5, DType::F64));
    assert!(1e-9 < rounding && rounding < 1e-4, "{rounding}");
    let step = |dtype| distance(&at(901.5 + 1e-6, dtype), &at(901.5, dtype));
    assert!(
        step(DType::F32) == 0.0 && 0.0 < step(DType::F64) && step(DType::F64) < 1e-6,
        "{}",
        step(DType::F64)
    );
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let config = Config { num_class_embeds: Some(3), ..small() };
    let model = UNet2DModel::new(&config, &weights(&config, DType::F64)).unwrap();
    let t = |n: usize| Tensor::from_vec(vec![1.0; n], n, CPU).unwrap();
    let labels = |v: &[u32]| Tensor::new(v, CPU).unwrap();
    let said = |x: &Tensor, t: &Tensor, labels: Option<&Tensor>| {
        model.forward(x, t, labels).unwrap_err().to_string()
    };
    let x = images(2, 3, 4);
    assert!(said(&images(2, 1, 4), &t(2), Some(&labels(&[0, 1]))).contains("1 channels"));
    assert!(said(&images(2, 3, 6), &t(2), Some(&labels(&[0, 1]))).contains("multiples of 4"));
    assert!(said(&x, &t(3), Some(&labels(&[0, 1]))).contains("2 images"));
    assert!(said(&x, &t(2), None).contains("one label an image"));
    assert!(said(&x, &t(2), Some(&labels(&[0]))).contains("1 labels"));
    assert!(said(&x, &t(2), Some(&labels(&[0, 3]))).contains("label 3"));
    assert!(model.forward(&x, &t(2), Some(&labels(&[0, 2]))).is_ok());
}

#[test]
fn weights_that_do_not_fit_are_listed_at_once() {
    let config = small();
    let mut all = weights(&config, DType::F32);
    all.remove("conv_in.bias");
    all.insert("conv_out.bias".into(), Tensor::zeros(4, DType::F32, CPU).unwrap());
    let said = UNet2DModel::new(&config, &all).err().unwrap().to_string();
    assert!(said.contains("conv_in.bias [4] is missing"), "{said}");
    assert!(said.contains("conv_out.bias is [4] and should be [3]"), "{said}");
}

#[test]
fn configurations_that_are_not_supported_are_refused_by_key_and_value() {
    let said = |json: &str| Config::from_json(json).unwrap_err().to_string();
    let two = r#""block_out_channels": [32, 32]"#;
    for (json, parts) in [
        (r#"{"down_block_types": ["KDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"]}"#.to_string(),
         ["down_block_types", "KDownBlock2D", "AttnDownBlock2D"]),
        (format!("{{{two}}}"), ["down_block_types", "4 blocks", "2"]),
        (r#"{"mid_block_type": "UNetMidBlock2DCrossAttn"}"#.into(), ["mid_block_type", "CrossAttn", "UNetMidBlock2D"]),
        (r#"{"act_fn": "tanh"}"#.into(), ["act_fn", "tanh", "silu"]),
        (r#"{"downsample_type": "fir"}"#.into(), ["downsample_type", "fir", "resnet"]),
        (r#"{"upsample_type": "fir"}"#.into(), ["upsample_type", "fir", "resnet"]),
        (r#"{"resnet_time_scale_shift": "spatial"}"#.into(), ["resnet_time_scale_shift", "spatial", "scale_shift"]),
        (r#"{"time_embedding_type": "rotary"}"#.into(), ["time_embedding_type", "rotary", "fourier"]),
        (r#"{"time_embedding_type": "learned"}"#.into(), ["num_train_timesteps", "missing", "learned"]),
        (r#"{"class_embed_type": "projection"}"#.into(), ["class_embed_type", "projection", "identity"]),
        (r#"{"norm_num_groups": 48}"#.into(), ["norm_num_groups", "48", "224 channels of down_blocks.0.resnets.0.norm1"]),
        (r#"{"norm_num_groups": null}"#.into(), ["norm_num_groups", "null", "down_blocks.0.resnets.0"]),
        (r#"{"attention_head_dim": 500}"#.into(), ["attention_head_dim", "500", "448"]),
        (r#"{"layers_per_block": "two"}"#.into(), ["layers_per_block", "cannot be read", "two"]),
        (r#"{"layers_per_blocks": 2}"#.into(), ["layers_per_blocks", "is no key", "layers_per_block"]),
        (r#"{"_class_name": "UNet2DConditionModel"}"#.into(), ["_class_name", "UNet2DConditionModel", "another network"]),
        (r#"{"in_channels": 1, "down_block_types": ["SkipDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"]}"#.into(),
         ["in_channels", "1", "down_blocks.0"]),
        (r#"{"down_block_types": ["DownBlock2D", "SkipDownBlock2D", "DownBlock2D", "DownBlock2D"]}"#.into(),
         ["down_block_types", "SkipDownBlock2D", "only after others"]),
        (r#"{"up_block_types": ["SkipUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"]}"#.into(),
         ["up_block_types", "UpBlock2D", "not after"]),
        ("[]".into(), ["JSON object", "config.json", ""]),
    ] {
        let said = said(&json);
        assert!(parts.iter().all(|part| said.contains(part)), "{json}: {said}");
    }
}

#[test]
fn configurations_survive_being_written() {
    for case in cases(&fixtures()) {
        let config = open(&case, DType::F32).config;
        assert_eq!(Config::from_json(&config.to_json()).unwrap(), config);
    }
    let defaults = Config::from_json("{}").unwrap();
    assert_eq!(defaults, Config::default());
    assert!(defaults.to_json().contains("\"mid_block_scale_factor\": 1,"), "integers stay so");
}
