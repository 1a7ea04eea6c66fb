"""Small UNet2DModels with random weights, and what diffusers makes of some inputs: tests/fixtures/unet.

    python tests/golden/unet.py                  # writes the fixtures again (torch, diffusers 0.42.1)
    python tests/golden/unet.py fuzz DIR N SEED  # N random configurations into DIR, for
    SCOREBENCH_UNET_FIXTURES=DIR cargo test --release --features candle --test unet -- --ignored

A case is a checkpoint as diffusers writes it and io.safetensors: images x, time steps t (f32, fractional), labels, the
output y, the output y64 of the same network in f64 (time steps still f32), and in its header the parameters' names and
shapes in diffusers' order.
"""

import copy
import json
import random
import shutil
import sys
from pathlib import Path

import diffusers
import torch
from diffusers import DDPMScheduler, EDMEulerScheduler, ScoreSdeVeScheduler, UNet2DModel
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent.parent / "fixtures" / "unet"


def write(folder, config, size, *, batch=2, pipeline=False, scheduler=None, half=False, shards=False, old=False, seed=0):
    torch.manual_seed(seed)
    model = UNet2DModel(**config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.add_(0.3 * torch.randn_like(weight))
            if half:
                weight.copy_(weight.half().float())
    n, kind = batch, config.get("time_embedding_type", "positional")
    io = {"x": torch.randn(n, model.config.in_channels, *size)}
    if kind == "positional":
        io["t"] = torch.rand(n) * 1000
    elif kind == "fourier":
        io["t"] = torch.exp(1.5 * torch.randn(n))
    else:
        io["t"] = torch.randint(0, config["num_train_timesteps"], (n,)).float()
    labels = None
    if config.get("class_embed_type") == "timestep":
        labels = torch.rand(n) * 10 + 0.5
        if kind == "learned":
            labels = labels.floor()
    elif config.get("class_embed_type") == "identity":
        labels = torch.randn(n, model.time_embedding.linear_2.out_features)
    elif config.get("num_class_embeds"):
        labels = torch.randint(0, config["num_class_embeds"], (n,))
    if labels is not None:
        io["labels"] = labels
    call = lambda v: v.long() if kind == "learned" else v
    lab = lambda f: labels if labels is None or labels.ndim < 2 else f(labels)
    lab2 = lambda f: call(lab(f)) if config.get("class_embed_type") == "timestep" else lab(f)
    double = copy.deepcopy(model).double()
    # diffusers casts embedded times to the network's type, but not embedded labels.
    double.time_proj.register_forward_hook(lambda module, args, out: out.double())
    with torch.no_grad():
        io["y"] = model(io["x"], call(io["t"]), class_labels=lab2(lambda v: v)).sample
        io["y64"] = double(io["x"].double(), call(io["t"]), class_labels=lab2(lambda v: v.double())).sample
    if not io["y64"].isfinite().all():
        raise ValueError("not finite")
    folder.mkdir(parents=True)
    unet = folder / "unet" if pipeline else folder
    variant = "fp16" if half else None
    size_limit = {"max_shard_size": "20KB"} if shards else {}
    (copy.deepcopy(model).half() if half else model).save_pretrained(unet, variant=variant, **size_limit)
    if old:
        rename(unet)
    if scheduler is not None:
        scheduler.save_pretrained(folder / "scheduler" if pipeline else folder)
    if pipeline:
        parts = {"unet": ["diffusers", "UNet2DModel"], "scheduler": ["diffusers", type(scheduler).__name__]}
        (folder / "model_index.json").write_text(json.dumps({"_class_name": "DDPMPipeline", **parts}, indent=2))
    shapes = json.dumps([[name, list(p.shape)] for name, p in model.named_parameters()])
    io = {name: value.contiguous() for name, value in io.items()}
    save_file(io, folder / "io.safetensors", metadata={"layout": shapes})


def rename(folder):
    """Attention by the names that checkpoints of 2022 have."""
    from safetensors.torch import load_file

    file = folder / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    for new, name in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        weights = {k.replace(f".{new}.", f".{name}."): v for k, v in weights.items()}
    save_file(weights, file, metadata={"format": "pt"})


D, A, U, B = "DownBlock2D", "AttnDownBlock2D", "UpBlock2D", "AttnUpBlock2D"
RD, RU = "ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"
SD, SU, ASD, ASU = "SkipDownBlock2D", "SkipUpBlock2D", "AttnSkipDownBlock2D", "AttnSkipUpBlock2D"


def of(down, up, channels, groups, **more):
    return dict(
        down_block_types=down, up_block_types=up, block_out_channels=channels, norm_num_groups=groups, **more
    )


def fixtures():
    shutil.rmtree(HERE, ignore_errors=True)
    ddpm = DDPMScheduler()
    # As google/ddpm-cifar10-32: old attention names, no heads, padding 0, sin before cos, freq_shift 1, files at the root.
    cifar = of((D, A, D), (U, B, U), (4, 8, 8), 4, attention_head_dim=None, downsample_padding=0, flip_sin_to_cos=False,
               freq_shift=1, norm_eps=1e-6, sample_size=32, layers_per_block=1)
    write(HERE / "cifar-like", cifar, (8, 8), scheduler=ddpm, old=True, seed=1)
    # One channel, three groups, heads that do not divide the channels, a pipeline folder, learned classes, not square.
    classes = of((D, A), (B, U), (6, 9), 3, in_channels=1, out_channels=1, attention_head_dim=2, num_class_embeds=5,
                 sample_size=[8, 12], layers_per_block=2)
    cosine = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", clip_sample=False)
    write(HERE / "classes", classes, (8, 12), pipeline=True, scheduler=cosine, seed=2)
    # Scale and shift, resizing by residual layers, the attention of consistency models, weights kept in f16.
    resnet = of((RD, A), (B, RU), (8, 8), 4, resnet_time_scale_shift="scale_shift", downsample_type="resnet",
                upsample_type="resnet", attention_head_dim=4, attn_norm_num_groups=2, layers_per_block=1, num_class_embeds=3)
    write(HERE / "resnet-resizing", resnet, (6, 6), pipeline=True, scheduler=EDMEulerScheduler(), half=True, seed=3)
    # Scale and shift without a norm before the middle attention; odd channels of the time embedding; labels are times.
    shift = of((A, D), (U, B), (5, 10), 5, resnet_time_scale_shift="scale_shift", attention_head_dim=5, freq_shift=1,
               class_embed_type="timestep", layers_per_block=1, mid_block_scale_factor=1.5, time_embedding_dim=12)
    write(HERE / "scale-shift", shift, (4, 8), scheduler=DDPMScheduler(prediction_type="sample", thresholding=True), seed=4)
    # Fourier features, output divided by the time step, no attention in the middle, images in [0, 1], labels are embeddings.
    fourier = of((A, D), (B, U), (4, 4), 2, time_embedding_type="fourier", add_attention=False, center_input_sample=True,
                 class_embed_type="identity", attention_head_dim=1, layers_per_block=2)
    write(HERE / "fourier", fourier, (8, 8), pipeline=True, scheduler=ScoreSdeVeScheduler(), seed=5)
    # One level: any size; no middle block; three layers; in pieces.
    one = of((A,), (B,), (6,), 2, mid_block_type=None, attention_head_dim=4, layers_per_block=3, out_channels=6, act_fn="gelu")
    write(HERE / "one-level", one, (5, 7), scheduler=ddpm, shards=True, seed=6)
    # A table of time steps, another nonlinearity, old block names.
    table = of(("UNetRes" + D, D), (U, "UNetRes" + U), (4, 6), 2, time_embedding_type="learned", num_train_timesteps=20,
               act_fn="mish", layers_per_block=1, in_channels=2, out_channels=2, attention_head_dim=None)
    write(HERE / "learned", table, (4, 4), seed=7)
    # NCSN++.
    skip = of((SD, SD), (SU, SU), (8, 8), None, time_embedding_type="fourier", mid_block_scale_factor=2**0.5,
              attention_head_dim=None, norm_eps=1e-6, layers_per_block=1)
    write(HERE / "skip", skip, (8, 8), scheduler=ScoreSdeVeScheduler(), seed=8)
    attn = of((SD, ASD), (ASU, SU), (32, 32), None, time_embedding_type="fourier", attention_head_dim=16, layers_per_block=1,
              mid_block_type=None, time_embedding_dim=8)
    write(HERE / "skip-attention", attn, (4, 4), batch=1, half=True, seed=9)


def schedulers():
    """Betas at some time steps, and preconditioning at some sigmas, as the package computes them in f32."""
    chains = [
        {}, {"num_train_timesteps": 250, "beta_end": 0.08}, {"beta_schedule": "scaled_linear", "beta_start": 8.5e-4, "beta_end": 0.012},
        {"beta_schedule": "squaredcos_cap_v2"}, {"beta_schedule": "sigmoid"}, {"beta_schedule": "laplace"},
        {"rescale_betas_zero_snr": True}, {"trained_betas": [0.1, 0.2, 0.4], "num_train_timesteps": 3},
    ]
    cases = [("DDPMScheduler", c) for c in chains] + [
        ("DDIMScheduler", {"rescale_betas_zero_snr": True, "beta_schedule": "scaled_linear"}), ("HeunDiscreteScheduler", {}),
        ("HeunDiscreteScheduler", {"beta_schedule": "exp"}), ("LCMScheduler", {}), ("EulerDiscreteScheduler", {}),
        ("TCDScheduler", {}), ("KDPM2DiscreteScheduler", {}), ("DPMSolverSDEScheduler", {}), ("UniPCMultistepScheduler", {}),
    ]
    rows = []
    for name, keys in cases:
        try:
            betas = getattr(diffusers, name)(**keys).betas
        except ImportError:  # DPMSolverSDEScheduler wants torchsde
            continue
        at = sorted({i * (len(betas) - 1) // 7 for i in range(8)})
        rows.append({"config": {"_class_name": name, **keys}, "at": at, "betas": [float(betas[i]) for i in at]})
    for keys in ({}, {"prediction_type": "v_prediction", "sigma_data": 1.0}):
        edm, one, none = EDMEulerScheduler(**keys), torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        for sigma in (0.002, 0.7, 80.0):
            sigma = torch.tensor(sigma, dtype=torch.float64)
            row = [edm.precondition_outputs(one, none, sigma), edm.precondition_outputs(none, one, sigma),
                   edm.precondition_inputs(one, sigma), edm.precondition_noise(sigma)]
            config = {"_class_name": "EDMEulerScheduler", **keys}
            rows.append({"config": config, "sigma": float(sigma), "preconditioning": [float(v) for v in row]})
    (HERE / "schedulers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def fuzz(folder, count, seed):
    done = 0
    while done < count:
        seed += 1
        r = random.Random(seed)
        levels = r.choice([1, 2, 2, 3])
        groups = r.choice([1, 2, 3, 4])
        skips = r.random() < 0.15
        if skips:
            channels = [8 * r.randint(1, 2) for _ in range(levels)]
            downs, ups = (SD, SD, RD, D), (SU, SU, RU, U)
            groups = r.choice([2, 4])
            if r.random() < 0.5:
                channels, downs, ups = [32] * levels, (SD, ASD), (SU, ASU)
        else:
            channels = [groups * r.randint(1, 4) for _ in range(levels)]
            downs, ups = (D, A, RD, D, A), (U, B, RU, U, B)
        kind = r.choice(["positional", "positional", "fourier", "learned"])
        config = of(
            tuple(r.choice(downs) for _ in channels), tuple(r.choice(ups) for _ in channels), tuple(channels), groups,
            in_channels=3 if skips else r.randint(1, 4), out_channels=3 if skips else r.randint(1, 4),
            center_input_sample=r.random() < 0.3, time_embedding_type=kind,
            time_embedding_dim=r.choice([None, None, 7, 16]), freq_shift=r.choice([0, 1, 0.5]),
            flip_sin_to_cos=r.random() < 0.5, mid_block_type=r.choice(["UNetMidBlock2D"] * 3 + [None]),
            layers_per_block=r.randint(1, 3), mid_block_scale_factor=r.choice([1, 2**0.5, 0.7]),
            downsample_padding=r.choice([0, 1]), downsample_type=r.choice(["conv", "resnet", None]),
            upsample_type=r.choice(["conv", "resnet", None]), act_fn=r.choice(["silu", "swish", "gelu", "relu", "mish"]),
            attention_head_dim=r.choice([None, 1, 2, 3, 4]), attn_norm_num_groups=r.choice([None, 1]),
            norm_eps=r.choice([1e-5, 1e-6, 1e-3]), resnet_time_scale_shift=r.choice(["default", "scale_shift"]),
            add_attention=r.random() < 0.7, class_embed_type=r.choice([None, None, "timestep", "identity"]),
            num_class_embeds=r.choice([None, 4]), num_train_timesteps=r.choice([None, 30, 30]), dropout=0.1,
        )
        unit = 2 ** (levels - 1)
        # At 2 x 2 pixels torch's broadcasting lets some mixtures of Skip and other blocks pass.
        size = (unit * r.randint(1 + skips, 5), unit * r.randint(1 + skips, 5))
        case = Path(folder) / f"{seed:05}"
        try:
            write(case, config, size, batch=r.randint(1, 3), pipeline=r.random() < 0.3, scheduler=DDPMScheduler(), seed=seed)
        except Exception as e:  # what diffusers itself cannot build is no case
            shutil.rmtree(case, ignore_errors=True)
            print(f"{seed}: {type(e).__name__}: {str(e)[:90]}", file=sys.stderr)
            continue
        done += 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["fuzz"]:
        fuzz(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        fixtures()
        schedulers()
