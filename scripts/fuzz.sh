#!/usr/bin/env bash
# Fuzzes each target, or the named one, on the stable toolchain. Exit status 0: nothing was found.
# usage: scripts/fuzz.sh [seconds for each target] [target]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-25}
only=${2:-}
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} CARGO_INCREMENTAL=0
log=$CARGO_TARGET_DIR/fuzz-log

# The flags of `cargo fuzz` on nightly, without the address sanitizer, because this crate has no unsafe code. With
# --target, the flags do not apply to build scripts and procedural macros.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="${RUSTFLAGS:-} $coverage --cfg fuzzing" \
  cargo build --locked --manifest-path fuzz/Cargo.toml --target "$host" --bins

ran=
for source in fuzz/fuzz_targets/*.rs; do
  name=$(basename "$source" .rs)
  [ -z "$only" ] || [ "$only" = "$name" ] || continue
  binary=$CARGO_TARGET_DIR/$host/debug/$name
  # New inputs go to the target folder; the seeds in the repository are only read.
  found=$CARGO_TARGET_DIR/fuzz/$name
  mkdir -p "$found" fuzz/artifacts
  if ! "$binary" "$found" "fuzz/corpus/$name" -dict=fuzz/dict -max_total_time="$seconds" -max_len=512 -timeout=5 \
    -rss_limit_mb=2048 -artifact_prefix="fuzz/artifacts/$name-" -print_final_stats=1 -verbosity=0 >"$log" 2>&1; then
    cat "$log"
    echo "$name found something; once more: $binary fuzz/artifacts/$name-<the file named above>"
    exit 1
  fi
  ran="$ran $name"
  echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs in $seconds s, nothing found"
done
[ -n "$ran" ] || { echo "there is no fuzz target $only"; exit 1; }
