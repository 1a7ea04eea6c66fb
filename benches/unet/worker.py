"""The peer's side of compare.py: torch through diffusers.

    worker.py make FOLDER CASE     a random model in diffusers' layout, with an example of its inputs and output
    worker.py time FOLDER THREADS REPEATS TRAIN
    worker.py profile FOLDER
"""

import json
import sys
import time
from pathlib import Path

import diffusers
import torch
from safetensors.torch import load_file, save_file

CASES = {
    # One level of three with attention.
    "32x32": dict(
        batch=16, sample_size=32, in_channels=3, out_channels=3, block_out_channels=(32, 64, 64), layers_per_block=2,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    ),
    # The network of the bundled digits.
    "8x8": dict(
        batch=64, sample_size=8, in_channels=1, out_channels=1, block_out_channels=(24, 48), layers_per_block=2,
        norm_num_groups=8, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    ),
}


def make(folder, case):
    torch.manual_seed(0)
    config = dict(CASES[case])
    batch = config.pop("batch")
    model = diffusers.UNet2DModel(**config).eval()
    x = torch.randn(batch, config["in_channels"], config["sample_size"], config["sample_size"])
    t = torch.linspace(0, 999, batch).round()
    with torch.no_grad():
        y = model(x, t).sample
    model.save_pretrained(folder / "unet")
    save_file({"x": x, "t": t, "y": y.contiguous()}, folder / "example.safetensors")


def load(folder):
    example = load_file(folder / "example.safetensors")
    return diffusers.UNet2DModel.from_pretrained(folder / "unet"), [example[name] for name in "xty"]


def forward(model, x, t):
    with torch.inference_mode():
        model(x, t)


def training(model, x, t, y):
    model.zero_grad(set_to_none=True)
    (model(x, t).sample - y).square().sum().backward()


def seconds(f, repeats):
    found = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        f()
        found.append(time.perf_counter() - start)
    return found[1:]


def main():
    job, folder, *rest = sys.argv[1:]
    folder = Path(folder)
    if job == "make":
        return make(folder, rest[0])
    model, (x, t, y) = load(folder)
    if job == "profile":
        torch.set_num_threads(1)
        forward(model, x, t)
        with torch.profiler.profile() as profile:
            for _ in range(3):
                forward(model, x, t)
        return print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=14, max_name_column_width=40))
    threads, repeats, train = map(int, rest)
    torch.set_num_threads(threads)
    found = {"forward": seconds(lambda: forward(model, x, t), repeats), "training": []}
    if train:
        found["training"] = seconds(lambda: training(model, x, t, y), repeats)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
