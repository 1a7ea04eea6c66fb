"""Are a peer's samples right? Their moments against those of the same scheme in f64, which are in reference.json.

`python check.py` makes reference.json again (numpy, f64, 2,000,000 samples; minutes), and compares it with the exact moments
of the data: what differs there is the discretisation and the start, the same for every peer. That five libraries, each with its
own code, agree with it is what makes it a reference.
"""

import json
from pathlib import Path

import numpy as np

from problem import END, JOBS, Variant, log_alpha

REFERENCE = Path(__file__).with_name("reference.json")


def statistics(job, x):
    """Mean vector, E|x|^2 and E min_k |x - m_k|^2 of samples (n, d), each as [value, standard error]."""
    x = np.asarray(x, dtype=np.float64)
    distance = (x**2).sum(1)[:, None] - 2 * x @ job.means.T + (job.means**2).sum(1)
    rows = {"mean": x, "second moment": (x**2).sum(1), "squared distance to the nearest mean": distance.min(1)}
    return {name: [row.mean(0), row.std(0) / np.sqrt(len(x))] for name, row in rows.items()}


def warnings(job, x):
    """What is wrong with samples (n, d): empty if nothing.

    At full size it sees 5 % in any coefficient of a step; at 5 standard errors a false alarm comes once in 10^4 runs.
    """
    if x.shape[1] != job.dim or not np.isfinite(x).all():
        return ["samples are not finite, or of the wrong shape"]
    reference = json.loads(REFERENCE.read_text())[job.name]
    found = []
    for name, (value, error) in statistics(job, x).items():
        expected, its_error = map(np.array, reference[name])
        z = np.abs(value - expected) / np.hypot(error, its_error)
        if z.max() > 5:
            found.append(f"{name} is {z.max():.1f} standard errors off")
    return found


def data_moments(job):
    """Mean vector and E|x|^2 of the data's marginal at the last level, exactly."""
    alpha = np.exp(log_alpha(END))
    second = (job.means**2).sum(1).mean() + job.dim * (job.stds**2).mean()
    return alpha * job.means.mean(0), alpha**2 * second + job.dim * (1 - alpha**2)


def main():
    import with_numpy  # not where a peer is measured

    reference = {}
    for job in JOBS.values():
        found = statistics(job, with_numpy.build("numpy", job, "f64", 2_000_000, Variant("columns", 4000))(7))
        mean, second = data_moments(job)
        print(job.name, "mean off by", np.abs(found["mean"][0] - mean).max(), "with error", found["mean"][1].max())
        print(job.name, "second moment", *found["second moment"], "of the data", second)
        reference[job.name] = {name: [np.round(a, 7).tolist() for a in pair] for name, pair in found.items()}
    REFERENCE.write_text(json.dumps(reference) + "\n")


if __name__ == "__main__":
    main()
