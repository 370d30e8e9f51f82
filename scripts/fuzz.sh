#!/usr/bin/env bash
# Fuzzes each target, or the one named, on the stable toolchain.
# usage: scripts/fuzz.sh [seconds for each target] [target]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
only=${2:-}
host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR=$target_dir CARGO_INCREMENTAL=0

# What `cargo fuzz` passes on nightly, without the address sanitizer: this crate has no unsafe code to watch.
# Naming the target with --target keeps the flags away from build scripts and procedural macros.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="${RUSTFLAGS:-} $coverage --cfg fuzzing" \
  cargo build --locked --manifest-path fuzz/Cargo.toml --target "$host" --bins

for source in fuzz/fuzz_targets/*.rs; do
  name=$(basename "$source" .rs)
  [ -z "$only" ] || [ "$only" = "$name" ] || continue
  # New inputs go to the target folder; the seeds in the repository are only read.
  found=$target_dir/fuzz/$name
  mkdir -p "$found" fuzz/artifacts
  binary=$target_dir/$host/debug/$name
  echo "fuzzing $name for $seconds s; a crash runs again with: $binary <file>"
  "$binary" "$found" "fuzz/corpus/$name" \
    -dict=fuzz/dict -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -max_len=512 \
    -artifact_prefix="fuzz/artifacts/$name-" -print_final_stats=1 -verbosity=0
done
