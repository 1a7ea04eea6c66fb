"""Our U-Net beside torch's through diffusers, on the CPU, on the same weights and inputs: see benches/README.md.

Rounds interleave ours with theirs, each a process on fixed cores; of all repeats of all rounds the least and the median count.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLE = ["--release", "--quiet", "--features", "candle", "--example", "unet_speed"]
WORKER = HERE / "worker.py"
SHARDS = {"32x32": 8, "8x8": 16}


def note(text):
    print(text, file=sys.stderr, flush=True)


def install(directory):
    """The virtual environment's python, with torch and diffusers installed in it."""
    python = directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        note(f"making {directory}")
        venv.create(directory, with_pip=True)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, "--requirement", HERE / "requirements.txt"]).returncode:
        sys.exit("pip could not install torch and diffusers: see above")
    return python


def fixed(threads):
    """Environment and affinity that hold a process to `threads` cores, the last ones that we may use."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), CUDA_VISIBLE_DEVICES="")
    if not hasattr(os, "sched_setaffinity"):
        return {"env": env}
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    if len(cores) < threads:
        sys.exit(f"{threads} threads: only {len(cores)} cores are there; give others by --threads")
    return {"env": env, "preexec_fn": lambda: os.sched_setaffinity(0, cores)}


def answer(command, threads):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, **fixed(threads))
    if done.returncode:
        sys.exit(f"`{' '.join(map(str, command))}` failed: see above")
    return json.loads(done.stdout.splitlines()[-1])


def compare(case, folder, python, ours, args):
    """Rows of the table, and the largest difference of outputs."""
    times, difference = {}, 0
    for number in range(args.rounds):
        note(f"{case}: round {number + 1} of {args.rounds}")
        for threads in args.threads:
            repeats, shard = str(args.repeats), str(SHARDS[case])
            command = [ours, folder, "--threads", str(threads), "--repeats", repeats, "--shard", shard, "--train"]
            mine = answer(command, threads)
            peer = answer([python, WORKER, "time", folder, str(threads), repeats, "1"], threads)
            difference = max(difference, mine["difference"])
            for job in "forward", "training":
                found = times.setdefault((job, threads), ([], []))
                found[0].extend(mine[job])
                found[1].extend(peer[job])
    rows = []
    for (job, threads), both in times.items():
        least = [1e3 * min(found) for found in both]
        middle = [1e3 * statistics.median(found) for found in both]
        rows.append(
            f"| {case} | {job} | {threads} | {least[0]:.2f} | {least[1]:.2f} | {least[0] / least[1]:.2f} "
            f"| {middle[0]:.2f} | {middle[1]:.2f} | {middle[0] / middle[1]:.2f} |"
        )
    return rows, difference


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--repeats", type=int, default=5, help="of a round (default: 5)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="(default: 1 2)")
    parser.add_argument("--venv", type=Path, default=ROOT / "target/peers-venv", help="(default: target/peers-venv)")
    parser.add_argument("--binary", type=Path, help="our example, if not the one that cargo builds")
    parser.add_argument("--profile", action="store_true", help="also print where torch spends its time, by kind of op")
    args = parser.parse_args()

    python = install(args.venv)
    if not args.binary and subprocess.run(["cargo", "build", *EXAMPLE], cwd=ROOT).returncode:
        sys.exit("our own example `unet_speed` does not build: see above")
    ours = args.binary or Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/unet_speed"
    lines, differences = [], []
    with tempfile.TemporaryDirectory() as directory:
        for case in SHARDS:
            folder = Path(directory) / case
            subprocess.run([python, WORKER, "make", folder, case], check=True)
            rows, difference = compare(case, folder, python, ours, args)
            lines += rows
            differences.append(f"{case}: outputs differ by {difference:.1e} at the most")
            if args.profile:
                subprocess.run([python, WORKER, "profile", folder], check=True)
    print("| images | job | threads | ours, ms | torch, ms | ratio | median ours | median torch | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(lines + [""] + differences))


if __name__ == "__main__":
    main()
