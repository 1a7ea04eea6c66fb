"""One peer, one job, one fresh process: `python worker.py PEER JOB` prints a line of JSON. compare.py runs this."""

import argparse
import importlib
import json
import time

from check import warnings
from problem import JOBS

PEERS = {
    "numpy": "with_numpy",
    "torch": "with_torch",
    "torch.compile": "with_torch",
    "jax": "with_jax",
    "torchsde": "with_torchsde",
    "diffrax": "with_diffrax",
    "diffrax-tree": "with_diffrax",
}


def timed(run, seed):
    """(seconds, seconds of the processor, samples)."""
    wall, cpu = time.perf_counter(), time.process_time()
    samples = run(seed)
    return time.perf_counter() - wall, time.process_time() - cpu, samples


def measure(peer, module, job, precision, samples, candidates, repeats):
    """Try each candidate twice (the first run compiles), and repeat the faster one."""
    runs, tried = {}, {}
    for variant in candidates:
        run = module.build(peer, job, precision, samples, variant)
        timed(run, 0)
        runs[variant], tried[variant] = run, timed(run, 1)[0]
    best = min(tried, key=tried.get)
    seconds, cpu, x = min((timed(runs[best], 2 + i) for i in range(repeats)), key=lambda result: result[0])
    work = samples * job.steps
    return {
        "variant": str(best), "seconds": seconds, "cpu_seconds": cpu, "samples_steps_per_second": work / seconds,
        "warnings": warnings(job, x), "tried": {str(v): work / s for v, s in tried.items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--precision", choices=["f32", "f64"], default="f32")
    parser.add_argument("--samples", type=int)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--variant", action="append", help="only this one; default: try all, keep the fastest of each style")
    args = parser.parse_args()
    job = JOBS[args.job]

    module = importlib.import_module(PEERS[args.peer])
    answer = {"peer": args.peer, "job": job.name, "precision": args.precision, "version": module.VERSION, "styles": {}}
    reason = getattr(module, "unavailable", lambda peer: None)(args.peer)
    if reason:
        answer["unavailable"] = reason
        candidates = []
    else:
        candidates = [v for v in module.variants(args.peer, job) if not args.variant or str(v) in args.variant]
    for style in ("plain", "tuned"):
        chosen = [v for v in candidates if v.style == style]
        if chosen:
            answer["styles"][style] = measure(
                args.peer, module, job, args.precision, args.samples or job.samples, chosen, args.repeats)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
