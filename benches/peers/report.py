"""From measurements to Markdown, BENCHMARKS.md and targets."""

import datetime
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- peers: made by `python3 benches/peers/compare.py --write` -->", "<!-- end of peers -->"

# Ours over the best peer as people write it, in f32.
TARGETS = {"S": 5, "H": 5, "L": 3}


def note(text):
    print(text, file=sys.stderr, flush=True)


def of_style(results, job, precision, style):
    """{peer: measurement} of one case and style."""
    return {key[0]: best for key, best in results.peers.items() if key[1:] == (job, precision, style)}


def our_rate(results, job, precision):
    row = results.ours.get((job, precision))
    return row and row["samples_steps_per_second"]


def number(x):
    mantissa, exponent = f"{x:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def missed_targets(results):
    """A sentence for every target that is missed, or that could not be judged."""
    missed = list(results.failed)
    for job, target in TARGETS.items():
        ours, peers = our_rate(results, job, "f32"), of_style(results, job, "f32", "plain")
        if ours is None or not peers:
            missed.append(f"{job} f32: nothing to compare")
            continue
        best = max(peers, key=lambda peer: peers[peer]["rate"])
        ratio = ours / peers[best]["rate"]
        if ratio < target:
            missed.append(f"{job} f32: {ratio:.2f} times the best peer ({best}), and the target is {target}")
    return missed


def table(results, cases, peers, style):
    lines = ["| | " + " | ".join(f"{job} {precision}" for job, precision in cases) + " |", "|---" * (len(cases) + 1) + "|"]
    if results.ours and style == "plain":
        rates = [our_rate(results, *case) for case in cases]
        lines.append("| **ours** | " + " | ".join(f"**{number(rate)}**" if rate else "" for rate in rates) + " |")
    for peer in peers:
        cells = []
        for case in cases:
            found, ours = of_style(results, *case, style).get(peer), our_rate(results, *case)
            ratio = f" ({ours / found['rate']:.2f}x)" if found and ours else ""
            cells.append(number(found["rate"]) + ratio if found else "")
        if any(cells):
            lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def floors(results):
    """How ours stands to the time of its normals and exponentials alone, where it says that."""
    rows = [row for row in results.ours.values() if row.get("floor_seconds") and row.get("seconds")]
    parts = [f"{row['job']} {row['precision']} {row['seconds'] / row['floor_seconds']:.2f}" for row in rows]
    return "Ours, in times of the floor (its normals and exponentials alone): " + ", ".join(parts) + "." if parts else ""


def quiet(results):
    """How much the machine was ours: best rates over median ones, and processor time against the clock's."""
    text = ""
    ratios = [best["rate"] / statistics.median(best["rates"]) for best in results.peers.values() if len(best["rates"]) > 1]
    if ratios:
        text += f" A peer's best round is {statistics.median(ratios):.2f} times its median one (median over peers)."
    if results.shared:
        text += f" {results.shared} of {results.measured} measurements had to share their cores: **run it on an idle machine.**"
    return text


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    wide = [name for name in ("avx2", "avx512f") if name in values.get("flags", "").split()]
    return ", ".join([values.get("model name", platform.machine()), *wide])


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def markdown(results, cases, args):
    """Both tables and what is needed to read them."""
    versions = ", ".join(sorted(results.versions))
    size = "a fifth of the samples" if args.quick else "full size"
    parts = [
        f"{datetime.date.today()}, {processor()}; {args.threads} thread(s); {size}, best of {args.rounds} round(s); commit "
        f"{commit()}. Python {platform.python_version()}, {versions}.{quiet(results)}",
        "Samples x steps per second, and in brackets how many times faster ours is. As people write it:",
        table(results, cases, args.only, "plain"),
        "Tuned by hand for these jobs:",
        table(results, cases, args.only, "tuned"),
        floors(results),
        *(f"Warning: {remark}" for remark in results.remarks),
    ]
    return "\n\n".join(part for part in parts if part)


def write(text):
    """Put `text` between the two comments of BENCHMARKS.md."""
    path = ROOT / "BENCHMARKS.md"
    old = path.read_text(encoding="utf-8")
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{path}: the comments {BEGIN} and {END} are not both there; put them back where the tables belong")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    note(f"wrote {path}")
