#!/usr/bin/env bash
# The gate: runs experiments and holds them to committed results. Exit code 1 if an expectation fails or a row got worse
# or went missing, 2 if something cannot be read. Everything is set by the environment:
#
#   SCOREBENCH   the program, with solvers of one's own in it or not    cargo run --release --quiet --
#   EXPERIMENTS  experiments to run                                      experiments/*.toml
#   BASELINE     committed results: a folder, or git:REV:FOLDER          results
#   OUT          where the new results go (it is emptied first)          target/gate
#   OPTIONS      more options of `compare`, such as --fail-on regression,missing,changed
#
# On GitHub the comparison is also the job's summary and its annotations.
set -euo pipefail
read -ra program <<<"${SCOREBENCH:-cargo run --release --quiet --}"
read -ra options <<<"${OPTIONS:-}"
# (Unquoted: patterns are for the shell.)
# shellcheck disable=SC2206
experiments=(${EXPERIMENTS:-experiments/*.toml})
baseline=${BASELINE:-results}
out=${OUT:-target/gate}

rm -rf "$out"
status=0
"${program[@]}" run "${experiments[@]}" --out "$out" >/dev/null || status=$?
[ "$status" -le 1 ] || exit "$status"

# What was not run is not missing.
only=()
for file in "${experiments[@]}"; do only+=(--only "$(basename "$file" .toml)"); done
formats=(--format text --format "junit=$out/gate.xml" --format "json=$out/gate.json")
[ -z "${GITHUB_ACTIONS:-}" ] || formats+=(--format github --format "markdown=$out/gate.md")
compared=0
"${program[@]}" compare "$baseline" "$out" "${only[@]}" "${formats[@]}" "${options[@]}" || compared=$?
[ "$compared" -eq 0 ] || exit "$compared"
exit "$status"
