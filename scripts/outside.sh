#!/usr/bin/env bash
# A crate outside this tree, as `new-solver` makes it: its solver is in every verb, and its gate sees a coefficient that is
# off by one per cent. Needs the program built: cargo build --release
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
scorebench=${SCOREBENCH:-$root/target/release/scorebench}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$scorebench" new-solver fast-heun --scorebench "$root" --quiet
cd fast-heun
# The versions that are tested here; a crate of one's own finds its own.
cp "$root/Cargo.lock" .
export CARGO_TARGET_DIR=$root/target/outside
build() { cargo build --release --quiet; }
mine=$CARGO_TARGET_DIR/release/fast-heun

build
"$mine" certify fast-heun
"$mine" list solvers | grep '^fast-heun '
"$mine" check --quiet
"$mine" run experiments/*.toml --quiet >/dev/null
"$mine" race fast-heun --against ddim,dpmpp-2m --on quick --quiet
"$mine" optimise --solver fast-heun --calls 8 --data natural-images --quiet
"$mine" sample --data ring --solver fast-heun --quiet
"$mine" report --quiet
"$mine" compare results results

sed -i 's|1.0 / (2.0 \* self.r)|1.01 / (2.0 * self.r)|' src/main.rs
grep -q '1.01 / ' src/main.rs
build
"$mine" run experiments/*.toml --out wrong --quiet >/dev/null
status=0
"$mine" compare results wrong >said || status=$?
head -20 said
if [ "$status" -ne 1 ] || ! grep -q 'fast-heun' said || grep -q 'ddim' said; then
    echo "the gate did not see it: exit code $status" >&2
    exit 1
fi
echo "A coefficient that is 1 % off: exit code 1, and only the rows of its solver are named."
