//! The keys of diffusers' `UNet2DModel`, their defaults and what may stand there.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::blocks::{DOWN_BLOCKS, UP_BLOCKS};
use super::layers::{ACTIVATIONS, Layout};
use crate::error::{BadInput, Result};

/// What a `UNet2DModel` is made of: the keys, defaults and meanings of diffusers 0.42's `config.json`.
///
/// ```
/// use scorebench::net::unet::Config;
/// let config = Config::from_json(r#"{"block_out_channels": [32, 64, 64, 64], "sample_size": 32}"#)?;
/// assert_eq!(config.layers_per_block, 2);
/// assert_eq!(config.tensors()?[0], ("conv_in.weight".into(), vec![32, 3, 3, 3]));
/// # Ok::<(), scorebench::error::BadInput>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Height and width of the images it was made for, in pixels; other sizes may be fed.
    pub sample_size: Option<SampleSize>,
    /// Channels of the images fed.
    pub in_channels: usize,
    /// Channels of what is returned.
    pub out_channels: usize,
    /// Whether images come in [0, 1] and the network maps them to [-1, 1] first.
    pub center_input_sample: bool,
    /// `positional` (sinusoids of the time step; Vaswani et al. 2017, 3.5), `fourier` (sinusoids of ln(time step) at fixed
    /// random frequencies, and the output divided by the time step; Song et al. 2021, C.2) or `learned` (a table).
    pub time_embedding_type: String,
    /// Width of the time embedding; four times the first block's channels if `None` or 0.
    pub time_embedding_dim: Option<usize>,
    /// Frequencies of the positional embedding are `10000^(-i/(half - freq_shift))`, i < half.
    #[serde(serialize_with = "whole")]
    pub freq_shift: f64,
    /// Positional: cosines before sines.
    pub flip_sin_to_cos: bool,
    /// From the image down: `DownBlock2D`, `AttnDownBlock2D`, `ResnetDownsampleBlock2D`, `SkipDownBlock2D`, `AttnSkipDownBlock2D`.
    pub down_block_types: Vec<String>,
    /// `UNetMidBlock2D`, or `None` for no block in the middle.
    pub mid_block_type: Option<String>,
    /// From the middle up: `UpBlock2D`, `AttnUpBlock2D`, `ResnetUpsampleBlock2D`, `SkipUpBlock2D`, `AttnSkipUpBlock2D`.
    pub up_block_types: Vec<String>,
    /// Channels of each down block.
    pub block_out_channels: Vec<usize>,
    /// Residual layers in a down block; an up block has one more.
    pub layers_per_block: usize,
    /// What the sums in the middle block are divided by.
    #[serde(serialize_with = "whole")]
    pub mid_block_scale_factor: f64,
    /// Zeros around what is halved by a strided convolution: 1, or 0 for one row and column after the last.
    pub downsample_padding: usize,
    /// How blocks with attention halve: `conv` (also for `None`) or `resnet`.
    pub downsample_type: Option<String>,
    /// How blocks with attention double: `conv` (also for `None`) or `resnet`.
    pub upsample_type: Option<String>,
    /// Kept, never applied: the network runs as in evaluation.
    #[serde(serialize_with = "whole")]
    pub dropout: f64,
    /// Nonlinearity of the residual layers: `silu` (`swish`), `relu`, `gelu` or `mish`.
    pub act_fn: String,
    /// Channels of one attention head; `None` for one head over all.
    pub attention_head_dim: Option<usize>,
    /// Groups of every group norm; `None` only if all blocks are of the `Skip` kind, which choose their own.
    pub norm_num_groups: Option<usize>,
    /// Groups of the middle attention's norm; if `None`, `norm_num_groups` with the `default` time shift and no norm otherwise.
    pub attn_norm_num_groups: Option<usize>,
    /// Added to variances in group norms.
    pub norm_eps: f64,
    /// How the time embedding enters a residual layer: `default` (added) or `scale_shift`.
    pub resnet_time_scale_shift: String,
    /// Whether the middle block has attention.
    pub add_attention: bool,
    /// What labels become: `timestep` (embedded as times are), `identity` (they are embeddings), or `None`.
    pub class_embed_type: Option<String>,
    /// Without a `class_embed_type`: number of classes, each with a learned embedding.
    pub num_class_embeds: Option<usize>,
    /// Rows of the table of `learned` time embeddings.
    pub num_train_timesteps: Option<usize>,
}

/// Pixels of an image's sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SampleSize {
    /// Both alike.
    Square(usize),
    /// Height, then width.
    Sides([usize; 2]),
}

impl SampleSize {
    /// Height and width, in pixels.
    pub fn sides(self) -> [usize; 2] {
        match self {
            SampleSize::Square(side) => [side; 2],
            SampleSize::Sides(sides) => sides,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let names = |names: [&str; 4]| names.map(String::from).to_vec();
        Config {
            sample_size: None,
            in_channels: 3,
            out_channels: 3,
            center_input_sample: false,
            time_embedding_type: "positional".into(),
            time_embedding_dim: None,
            freq_shift: 0.0,
            flip_sin_to_cos: true,
            down_block_types: names(["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"]),
            mid_block_type: Some("UNetMidBlock2D".into()),
            up_block_types: names(["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"]),
            block_out_channels: vec![224, 448, 672, 896],
            layers_per_block: 2,
            mid_block_scale_factor: 1.0,
            downsample_padding: 1,
            downsample_type: Some("conv".into()),
            upsample_type: Some("conv".into()),
            dropout: 0.0,
            act_fn: "silu".into(),
            attention_head_dim: Some(8),
            norm_num_groups: Some(32),
            attn_norm_num_groups: None,
            norm_eps: 1e-5,
            resnet_time_scale_shift: "default".into(),
            add_attention: true,
            class_embed_type: None,
            num_class_embeds: None,
            num_train_timesteps: None,
        }
    }
}

impl Config {
    /// Reads a `config.json`. Keys starting with `_` (class name, version) are left aside; missing ones have their defaults.
    ///
    /// # Errors
    /// Text that is not such an object, another `_class_name`, unknown keys, and what [`Config::tensors`] refuses.
    pub fn from_json(text: &str) -> Result<Self> {
        let mut object: Map<String, Value> = serde_json::from_str(text).map_err(|e| {
            BadInput::about("", format!("is not a JSON object: {e}"), "give diffusers' config.json")
        })?;
        if let Some(class) = object.get("_class_name")
            && class != "UNet2DModel"
        {
            let fix = "give the folder of an unconditional UNet2DModel";
            return Err(BadInput::new("_class_name", class, "is another network", fix));
        }
        object.retain(|key, _| !key.starts_with('_'));
        let known = Config::default().keys();
        if let Some(key) = object.keys().find(|key| !known.contains_key(*key)) {
            let near = known.keys().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)));
            let fix = format!("the nearest is {}", near.map_or("", String::as_str));
            return Err(BadInput::about(key, "is no key of UNet2DModel", fix));
        }
        let config: Config = serde_path_to_error::deserialize(Value::Object(object)).map_err(|e| {
            let key = e.path().to_string();
            BadInput::about(
                key.trim_matches('.'),
                format!("cannot be read: {}", e.inner()),
                "see diffusers' UNet2DModel",
            )
        })?;
        config.tensors()?;
        Ok(config)
    }

    /// The text of a `config.json` that [`Config::from_json`] and diffusers read.
    pub fn to_json(&self) -> String {
        let mut object = Map::new();
        object.insert("_class_name".into(), "UNet2DModel".into());
        object.insert("_diffusers_version".into(), super::DIFFUSERS.into());
        object.extend(self.keys());
        format!("{:#}\n", Value::Object(object))
    }

    fn keys(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(keys)) => keys,
            _ => Map::new(),
        }
    }

    /// Every parameter's name and shape, by diffusers' names and in its order.
    ///
    /// # Errors
    /// A value that is not supported or does not fit the others, by its key.
    pub fn tensors(&self) -> Result<Vec<(String, Vec<usize>)>> {
        let mut layout = Layout::default();
        super::Network::new(self, &mut layout)?;
        Ok(layout.into_tensors())
    }

    /// Width of the time embedding.
    pub(super) fn embedding_width(&self) -> usize {
        self.time_embedding_dim.filter(|&d| d > 0).unwrap_or(4 * self.block_out_channels[0])
    }

    /// Blocks of the `Skip` kind hand an image on, halved or doubled by each: one of another kind between them would break that.
    fn check_skips(&self) -> Result<()> {
        let skips = |types: &[String]| types.iter().map(|kind| kind.contains("Skip")).collect::<Vec<_>>();
        let last = self.block_out_channels.len() - 1;
        let (down, up) = (skips(&self.down_block_types), skips(&self.up_block_types));
        if let Some(i) = (0..last).find(|&i| down[i] && !down[..i].iter().all(|&skip| skip)) {
            let (kind, why) = (&self.down_block_types[i], "takes in the image only after others of its kind");
            return Err(BadInput::new("down_block_types", kind, why, "put Skip blocks first"));
        }
        if let Some(i) = (1..=last).find(|&i| !up[i] && up[..i].contains(&true)) {
            let (kind, why) =
                (&self.up_block_types[i], "does not hand on an image, so comes not after a Skip block");
            return Err(BadInput::new("up_block_types", kind, why, "put Skip blocks last"));
        }
        Ok(())
    }

    /// Refuses what no part of the network would: names it does not know, lists of different lengths.
    pub(super) fn check(&self) -> Result<()> {
        let levels = self.block_out_channels.len();
        let lists = [("down_block_types", &self.down_block_types), ("up_block_types", &self.up_block_types)];
        for (key, types) in lists {
            if types.len() != levels || levels == 0 {
                let why = format!("has {} blocks where block_out_channels has {levels}", types.len());
                return Err(BadInput::new(key, types, why, "give one entry a level, at least one"));
            }
        }
        let positive = [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("layers_per_block", self.layers_per_block),
            ("block_out_channels", self.block_out_channels.iter().copied().min().unwrap_or(0)),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(BadInput::new(key, 0, "leaves nothing to compute", "give at least 1"));
        }
        for kind in &self.down_block_types {
            supported("down_block_types", Some(kind), &DOWN_BLOCKS)?;
        }
        for kind in &self.up_block_types {
            supported("up_block_types", Some(kind), &UP_BLOCKS)?;
        }
        self.check_skips()?;
        supported("mid_block_type", self.mid_block_type.as_ref(), &["UNetMidBlock2D"])?;
        supported("downsample_type", self.downsample_type.as_ref(), &["conv", "resnet"])?;
        supported("upsample_type", self.upsample_type.as_ref(), &["conv", "resnet"])?;
        supported("act_fn", Some(&self.act_fn.to_lowercase()), &ACTIVATIONS)?;
        supported(
            "resnet_time_scale_shift",
            Some(&self.resnet_time_scale_shift),
            &["default", "scale_shift"],
        )?;
        supported("class_embed_type", self.class_embed_type.as_ref(), &["timestep", "identity"])?;
        supported(
            "time_embedding_type",
            Some(&self.time_embedding_type),
            &["positional", "fourier", "learned"],
        )
    }
}

/// Refuses a name that is not among `known`; old checkpoints put `UNetRes` before the names of blocks.
fn supported(key: &str, value: Option<&String>, known: &[&str]) -> Result<()> {
    match value {
        Some(name) if !known.contains(&name.strip_prefix("UNetRes").unwrap_or(name)) => {
            Err(BadInput::new(key, name, "is not supported", format!("supported are {}", known.join(", "))))
        }
        _ => Ok(()),
    }
}

/// Numbers without a fraction as integers, as diffusers writes them (its readers ask for `int`).
fn whole<S: Serializer>(value: &f64, to: S) -> std::result::Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        to.serialize_i64(*value as i64)
    } else {
        to.serialize_f64(*value)
    }
}
