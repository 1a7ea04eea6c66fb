"""Our Monte-Carlo speed beside that of numpy, torch, JAX, torchsde and diffrax, in one run: see BENCHMARKS.md.

Every measurement is a process of its own on fixed cores; rounds interleave ours with theirs; the best of the rounds counts.
"""

import argparse
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import report
from report import ROOT, note

HERE = Path(__file__).parent

# What each peer needs of requirements.txt.
NEEDS = {
    "numpy": ["numpy"],
    "torch": ["numpy", "torch", "setuptools"],
    "torch.compile": ["numpy", "torch", "setuptools"],
    "torchsde": ["numpy", "torch", "setuptools", "torchsde"],
    "jax": ["numpy", "jax"],
    "diffrax": ["numpy", "jax", "diffrax"],
    "diffrax-tree": ["numpy", "jax", "diffrax"],
}
CASES = [("S", "f32"), ("H", "f32"), ("L", "f32"), ("H", "f64")]
QUICK_SAMPLES = {"S": 20_000, "H": 20_000, "L": 4_000}  # multiples of every chunk


def fixed(threads):
    """Environment and affinity that hold a process to `threads` cores, the last ones that we may use."""
    env = dict(
        os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads),
        NPROC=str(threads), JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="",
    )
    if threads == 1:
        env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if not hasattr(os, "sched_setaffinity"):
        note("this system cannot pin processes to cores: only the libraries' own settings fix the threads")
        return {"env": env}
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    if len(cores) < threads:
        sys.exit(f"--threads {threads}: only {len(cores)} cores are there; ask for at most as many")
    return {"env": env, "preexec_fn": lambda: os.sched_setaffinity(0, cores)}


def install(directory, peers):
    """The virtual environment's python, with what the peers need installed in it."""
    python = directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        note(f"making {directory}")
        venv.create(directory, with_pip=True)
    packages = sorted({package for peer in peers for package in NEEDS[peer]})
    note(f"installing {' '.join(packages)}")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, "--constraint", HERE / "requirements.txt", *packages]).returncode:
        sys.exit("pip could not install the peers: see above; --only NAMES asks for fewer")
    return python


def build_ours():
    """Whether our own binary is there to be run."""
    done = subprocess.run(["cargo", "build", "--release", "--quiet", "--example", "speed"], cwd=ROOT)
    if done.returncode:
        note("our own example `speed` does not build: the table will have the peers alone")
    return done.returncode == 0


def measure_ours(threads, held):
    """The rows that our own binary prints, as a list."""
    command = ["cargo", "run", "--release", "--quiet", "--example", "speed", "--", "--json", "--threads", str(threads)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **held)
    if done.returncode:
        sys.exit(f"`{' '.join(command)}` failed: see above")
    rows = json.loads(done.stdout)
    return [row for row in rows if row.get("threads", threads) == threads]


def measure_peer(python, peer, job, precision, samples, variants, held):
    """What worker.py prints, or None where it failed and has said why."""
    command = [python, HERE / "worker.py", peer, job, "--precision", precision]
    command += ["--samples", str(samples)] if samples else []
    command += [part for variant in variants for part in ("--variant", variant)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **held)
    if done.returncode:
        note(f"{peer} failed on {job} {precision}:\n{done.stderr}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


class Results:
    """The best rates so far, by case and peer, and what was worth saying on the way."""

    def __init__(self):
        self.ours = {}  # (job, precision): the row of the fastest run
        self.peers = {}  # (peer, job, precision, style): {"rate", "variant", "rates"}
        self.versions = set()
        self.remarks, self.failed = [], []
        self.shared, self.measured = 0, 0  # measurements that did not have their cores to themselves, and all

    def remark(self, text):
        if text not in self.remarks:
            self.remarks.append(text)
            note(text)

    def add_ours(self, rows):
        for row in rows:
            case = row["job"], row["precision"]
            best = self.ours.get(case)
            if best is None or row["samples_steps_per_second"] > best["samples_steps_per_second"]:
                self.ours[case] = row

    def add_peer(self, answer, threads):
        peer, job, precision = answer["peer"], answer["job"], answer["precision"]
        self.versions.add(answer["version"])
        if "unavailable" in answer:
            self.remark(answer["unavailable"])
        for style, found in answer["styles"].items():
            rate = found["samples_steps_per_second"]
            best = self.peers.setdefault((peer, job, precision, style), {"rate": 0, "rates": []})
            best["rates"].append(rate)
            if rate > best["rate"]:
                best.update(rate=rate, variant=found["variant"])
            if found["cpu_seconds"] > 1.1 * threads * found["seconds"]:
                self.remark(f"{peer} used more than {threads} threads on {job} {precision}")
            for warning in found["warnings"]:
                self.remark(f"{peer}, {style}, {job} {precision}: {warning}")
            if found["cpu_seconds"] < 0.95 * found["seconds"]:
                self.shared += 1
            self.measured += 1
            note(f"{job} {precision} {peer:14} {style} {rate:9.3g}  ({found['variant']})")

    def variants(self, peer, job, precision):
        """The variants that were the fastest so far: later rounds run these alone."""
        return [best["variant"] for key, best in self.peers.items() if key[:3] == (peer, job, precision)]


def run(args, python, with_ours):
    results, held = Results(), fixed(args.threads)
    for number in range(args.rounds):
        note(f"round {number + 1} of {args.rounds}")
        for job, precision in CASES:
            if with_ours:
                results.add_ours(measure_ours(args.threads, held))
            samples = QUICK_SAMPLES[job] if args.quick else None
            for peer in args.only:
                tried = results.variants(peer, job, precision)
                if number and not tried:
                    continue  # the job is not this peer's, or it failed
                answer = measure_peer(python, peer, job, precision, samples, tried, held)
                if not answer:
                    results.failed.append(f"{peer} failed on {job} {precision}")
                    results.remark(results.failed[-1])
                    continue
                results.add_peer(answer, args.threads)
                if args.record:
                    with args.record.open("a") as file:
                        print(json.dumps(answer), file=file)
    return results


def peer_names(text):
    names = text.split(",")
    for name in names:
        if name not in NEEDS:
            raise argparse.ArgumentTypeError(f"no peer {name!r}: the names are {', '.join(NEEDS)}")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=peer_names, default=list(NEEDS), metavar="NAMES", help="of " + ",".join(NEEDS))
    parser.add_argument("--quick", action="store_true", help="a fifth of the samples, one round")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (default: 3)")
    parser.add_argument("--threads", type=int, default=1, help="threads and cores of each process (default: 1)")
    parser.add_argument("--venv", type=Path, default=ROOT / "target/peers-venv", help="(default: target/peers-venv)")
    parser.add_argument("--record", type=Path, metavar="FILE", help="append every measurement, a line of JSON each")
    parser.add_argument("--write", action="store_true", help="put the tables into BENCHMARKS.md")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a target is missed")
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 3)

    python = install(args.venv, args.only)
    results = run(args, python, build_ours())
    text = report.markdown(results, CASES, args)
    print(text)
    if args.write:
        report.write(text)
    if args.check:
        missed = report.missed_targets(results)
        for line in missed:
            note(line)
        sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
