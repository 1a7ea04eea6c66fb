"""PyTorch's AdamW and clip_grad_norm_ on a short sequence, in f64.

Writes adamw.csv beside itself: for every update its number, learning rate, norm of the gradient, and per weight the gradient
and the weight after it; row 0 has the initial weights.  pip install torch==2.11.0
"""

import csv
from pathlib import Path

import torch

LR, BETAS, EPS, DECAY, CLIP = 3e-3, (0.9, 0.99), 1e-8, 0.05, 1.0

torch.manual_seed(1)
weights = torch.nn.Parameter(torch.randn(5, dtype=torch.float64))
optimiser = torch.optim.AdamW([weights], lr=LR, betas=BETAS, eps=EPS, weight_decay=DECAY)
rows = [["update", "lr", "norm", *(f"g{i}" for i in range(5)), *(f"w{i}" for i in range(5))]]


def row(update, lr, norm, gradient):
    numbers = [lr, norm, *gradient.tolist(), *weights.detach().tolist()]
    rows.append([update, *(repr(float(x)) for x in numbers)])


row(0, 0.0, 0.0, torch.zeros(5))
for update in range(1, 9):
    lr = LR * (1 - update / 10)
    for group in optimiser.param_groups:
        group["lr"] = lr
    # Some gradients are longer than CLIP and some shorter; one weight has none at first.
    gradient = torch.randn(5, dtype=torch.float64) * (2.0 if update % 2 else 0.2)
    gradient[4] = 0.0 if update < 4 else gradient[4]
    weights.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_([weights], CLIP)
    optimiser.step()
    row(update, lr, norm, gradient)

with open(Path(__file__).with_name("adamw.csv"), "w", newline="") as file:
    csv.writer(file, lineterminator="\n").writerows(rows)
