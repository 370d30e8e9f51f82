#!/usr/bin/env bash
# usage: scripts/test.sh              everything: what has to pass before a change is merged
#        scripts/test.sh quick        format, clippy and quick unit tests: what to run all day
#        scripts/test.sh AREA         the tests of a folder of src or a module of tests/it, such as hash or rotation
#        scripts/test.sh step NAME…   single steps of everything, by their names in this file
#
# Everything installs what is missing, runs each check, and lists what it ran. It asks no questions and does not change
# the working tree. The last lines are the test runner's own summary. Exit status 0: each check passed. No step may use
# `check && …`: a failure before `&&` would not stop the script.
set -euo pipefail
cd "$(dirname "$0")/.."

# Everything and its steps build into their own target folder, so that they do not replace the builds of quick, of AREA
# and of your own commands. CARGO_TARGET_DIR overrides both. Without debug information these builds are half the size.
case ${1:-} in
  "" | step)
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/gate} CARGO_INCREMENTAL=0
    ;;
  *)
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} CARGO_INCREMENTAL=1
    ;;
esac
export CARGO_PROFILE_DEV_DEBUG=0
logs=$CARGO_TARGET_DIR/check-logs
rm -rf "$logs" && mkdir -p "$logs"

# Packages outside of the workspace, each with its own lock file. All others are members of the workspace.
shopt -s nullglob
benches=(benches/*/Cargo.toml)
apart=("${benches[@]}" fuzz/Cargo.toml)

# The members except the library itself: the conformance kit, and examples that are packages of their own.
members=(--workspace --exclude tower-api-keys)

# The packages that are published: the other members say `publish = false`.
published=(-p tower-api-keys -p tower-api-keys-conformance -p tower-api-keys-http -p tower-api-keys-cli)

tools() {
  command -v cargo >/dev/null || { echo "cargo is missing: install Rust first, https://rustup.rs"; return 1; }
  cargo fmt --version || rustup component add rustfmt
  cargo clippy --version || rustup component add clippy
  local missing=()
  # SQLite is bundled as C source, libFuzzer as C++ source.
  if ! { command -v cc && command -v c++; }; then missing+=(gcc g++ libc6-dev); fi
  # It counts the instructions of the hot path. Where it is not available, that step says so.
  if ! command -v valgrind && command -v apt-get >/dev/null; then missing+=(valgrind); fi
  # The tests start servers of their own, and make certificates for them.
  if ! has_postgresql; then missing+=(postgresql); fi
  # On Debian only root's path has its folder.
  if ! PATH=$PATH:/usr/sbin command -v pgbouncer; then missing+=(pgbouncer); fi
  if ! command -v openssl; then missing+=(openssl); fi
  # Proxies that ask `apikeys serve`, as the guide configures them.
  if ! PATH=$PATH:/usr/sbin command -v nginx; then missing+=(nginx); fi
  if ! command -v caddy; then missing+=(caddy); fi
  # For the programs that try what the OpenAPI document says.
  if ! python3 -c 'import ensurepip, venv'; then missing+=(python3-venv); fi
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
  has_postgresql || { echo "the programs of a PostgreSQL server are missing: install it, or set PG_BIN to their folder"; return 1; }
  rustc --version
  cargo nextest --version 2>/dev/null || echo "cargo-nextest is not installed: cargo test runs the tests"
}

# Looks for the programs in the same folders as tests/it/support/postgres.rs.
has_postgresql() {
  local folder program
  local IFS=:
  for folder in ${PG_BIN:-} $PATH /usr/lib/postgresql/*/bin; do
    for program in initdb pg_basebackup pg_ctl postgres; do
      [ -x "$folder/$program" ] || continue 2
    done
    return 0
  done
  return 1
}

install_packages() {
  command -v apt-get >/dev/null || { echo "please install: $*"; return 1; }
  local as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" apt-get install -q -y --no-install-recommends "$@"
}

fetch() {
  cargo fetch --locked
  for manifest in "${apart[@]}"; do cargo fetch --locked --manifest-path "$manifest"; done
}

shell_syntax() {
  for script in .ci/run scripts/*.sh; do
    echo "$script"
    bash -n "$script"
  done
}

format() {
  cargo fmt --all --check
  for manifest in "${apart[@]}"; do cargo fmt --manifest-path "$manifest" --check; done
}

clippy_all_features() { cargo clippy --locked --all-targets --all-features -- -D warnings; }
clippy_no_features() { cargo clippy --locked --all-targets --no-default-features -- -D warnings; }

# No features, the default, each feature alone, and all except each: finds code that is used without its feature.
feature_combinations() {
  local names name rest
  names=$(awk '/^\[/ { inside = $0 == "[features]" } inside && $2 == "=" && $1 != "default" { print $1 }' Cargo.toml)
  combination "default" --all-targets
  combination "none" --lib --no-default-features
  for name in $names; do
    rest=$(grep -vx "$name" <<<"$names" | paste -sd, -)
    combination "$name" --lib --no-default-features --features "$name"
    combination "all but $name" --lib --no-default-features --features "$rest"
  done
}

combination() {
  echo "$1"
  shift
  cargo clippy --locked --quiet "$@" -- -D warnings
}

build_examples() { cargo build --locked --all-features --examples; }

# Compiled but not run: they measure time, which is not possible on a busy machine, and the compared crates are large.
check_benches() {
  cargo check --locked --all-features --benches
  for manifest in "${benches[@]}"; do
    cargo clippy --locked --manifest-path "$manifest" --all-targets -- -D warnings
  done
}

# The output, log and databases of the tests are searched for secrets. If each test has its own process, one run is
# enough; else the test that searches runs all tests again.
unit_and_integration_tests() {
  local kept=$CARGO_TARGET_DIR/check-leaks
  rm -rf "$kept" && mkdir -p "$kept"
  if cargo nextest --version >/dev/null 2>&1; then
    TOWER_API_KEYS_TEST_LEAKS=$kept run_tests --profile kept -E 'not test(=leaks::no_secret_is_in_output_log_or_database_of_the_whole_test_run)'
    mv target/nextest/kept/junit.xml "$kept/output.xml"
    TOWER_API_KEYS_TEST_LEAKS_KEPT=$kept cargo nextest run --locked --all-features leaks::no_secret 2>&1 | tee "$logs/search"
  else
    run_tests --lib --bins --tests
  fi
  rm -rf "$kept"
}

# The arguments are the targets, then the tests if not all.
run_tests() {
  local runner=test
  ! cargo nextest --version >/dev/null 2>&1 || runner="nextest run"
  cargo $runner --locked --all-features --no-fail-fast "$@" 2>&1 | tee "$logs/tests"
}

doc_tests() { cargo test --locked --all-features --doc 2>&1 | tee "$logs/doc-tests"; }

# Unlike times, these counts are the same in each run, even on a busy machine.
instruction_counts() {
  if command -v valgrind >/dev/null; then
    cargo bench --locked --bench instructions
  else
    echo "valgrind is not installed, and there is no apt-get to install it: nothing is counted"
  fi
}

other_members() {
  cargo clippy --locked "${members[@]}" --all-targets -- -D warnings
  cargo test --locked "${members[@]}" 2>&1 | tee "$logs/member-tests"
}

# Thousands of requests to a server, made from the OpenAPI document of the routes.
openapi_on_a_server() { ./scripts/openapi.sh; }

# The settings page in a real browser, served by the example. Nothing is written into the working tree, except with
# PICTURES=1: then it replaces docs/pictures.
browser_tests() {
  local tests=crates/http/tests/browser folder=$CARGO_TARGET_DIR/browser chromium
  browser_tools
  chromium=$(chromium_of_the_system)
  "$chromium" --version
  mkdir -p "$folder"
  rm -f "$folder"/*.mjs
  cp "$tests"/*.mjs "$tests"/package*.json "$tests"/.npmrc "$folder"
  if ! cmp -s "$tests/package-lock.json" "$folder/installed"; then
    (cd "$folder"; npm ci --ignore-scripts)
    cp "$tests/package-lock.json" "$folder/installed"
  fi
  cargo build --locked -p settings_page
  CHROMIUM=$chromium SETTINGS_PAGE=$CARGO_TARGET_DIR/debug/settings_page PICTURES=${PICTURES:+$PWD/docs/pictures} \
    node "$folder/run.mjs" 2>&1 | tee "$logs/browser"
}

browser_tools() {
  local missing=()
  if ! command -v node; then missing+=(nodejs); fi
  if ! command -v npm; then missing+=(npm); fi
  if ! chromium_of_the_system; then missing+=(chromium); fi
  if [ -n "${PICTURES:-}" ] && ! command -v pngquant; then missing+=(pngquant); fi
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
  node --version
  # Debian 12 has Node 18, Debian 13 has 20.
  node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || {
    echo "The browser tests need Node 20 or later, and $(command -v node) is $(node --version)."
    echo "Install a later one, from https://nodejs.org for example, and put its folder first in PATH."
    return 1
  }
}

chromium_of_the_system() {
  command -v chromium || command -v chromium-browser || command -v google-chrome
}

documentation() {
  RUSTDOCFLAGS="-D warnings" cargo doc --locked --all-features --no-deps \
    -p tower-api-keys -p tower-api-keys-conformance -p tower-api-keys-http
}

# In CI the clone must be clean. A developer may package uncommitted changes.
package() {
  local dirty=()
  [ "${CI:-}" = true ] || dirty=(--allow-dirty)
  cargo package --locked "${published[@]}" "${dirty[@]}"
  # Not as a release, so that it takes what other steps have built.
  cargo install --locked --debug --path crates/cli --root "$CARGO_TARGET_DIR/installed"
  "$CARGO_TARGET_DIR/installed/bin/apikeys" --version
}

# tests/it/project.rs checks licences, duplicates, sources and declared Rust versions against deny.toml, without another
# tool. cargo-deny reads the same file.
dependencies() {
  if cargo deny --version 2>/dev/null; then
    cargo deny --all-features check bans licenses sources
  else
    echo "cargo-deny is not installed: tests/it/project.rs checks licences, duplicates and sources against deny.toml"
  fi
}

# Known weaknesses of dependencies. If the check is not possible, the output says so, here and in the last lines.
advisories() {
  ./scripts/advisories.sh | tee "$logs/advisories"
  remark=$(sed -n 's/^NOT ASKED: //p' "$logs/advisories")
}

oldest_rust() {
  local version
  version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  if rustup toolchain list 2>/dev/null | grep -q "^$version"; then
    cargo "+$version" check --locked --all-features
  else
    echo "Rust $version is not installed: tests/it/project.rs compares what each dependency declares with it"
  fi
}

fuzz() { ./scripts/fuzz.sh 4; }

# One build for clippy and one for the tests: only the tests of src, none of which starts a server.
quick_clippy() { cargo clippy --locked --all-features --lib --profile test -- -D warnings; }

# All unit tests but these, which try everything there is: all letters, all slips, a process killed at each step.
slow=(a_store_that_knows_no_letters killed:: a_flood_by_one_actor a_flood_of_distinct_refusals
  every_single_slip the_noise_of_one_organization too_many_days_do_not_wait)
quick_tests() { run_tests --lib -- $(printf -- "--skip %s " "${slow[@]}"); }

# The areas are the folders and files of src and the modules of tests/it.
area_tests() {
  local areas
  areas=$({ ls src; ls tests/it; } | sed 's/\.rs$//' | grep -vxE 'lib|main|manual|support' | sort -u)
  if ! grep -qxF "$1" <<<"$areas"; then
    echo "there is no area $1; there are:"
    fmt -w 100 <<<"$areas"
    return 1
  fi
  run_tests --lib --test it "$1::"
}

report=()
running=
# The summary adds this to the name of a step.
remark=
begun=0

run() {
  running="$*" remark=
  begun=$SECONDS
  printf '\n=== %s\n' "${running//_/ }"
  "$@"
  report+=("$(printf '  passed %5d s  %s%s' $((SECONDS - begun)) "${running//_/ }" "${remark:+: NOT ASKED, $remark}")")
  running=
}

# The test runner's summary comes last, if the tests ran. A failure of another step is printed after it.
finish() {
  local status=$?
  printf '\nWhat ran, on %s cores:\n' "$(nproc 2>/dev/null || echo some)"
  [ ${#report[@]} -eq 0 ] || printf '%s\n' "${report[@]}"
  [ -z "$running" ] || printf '  FAILED %5d s  %s\n' $((SECONDS - begun)) "${running//_/ }"
  printf '         %5d s  altogether\n' "$SECONDS"
  for kind in doc-tests member-tests; do
    [ ! -s "$logs/$kind" ] || sed -n "s/^test result: /$kind: /p" "$logs/$kind"
  done
  [ ! -s "$logs/browser" ] || tail -n 2 "$logs/browser"
  [ ! -s "$logs/tests" ] || summary
  case $running in
    "") ;;
    unit_and_integration_tests | quick_tests | area_tests*) [ -s "$logs/tests" ] || echo "FAILED: ${running//_/ }" ;;
    *) echo "FAILED: ${running//_/ }" ;;
  esac
  exit "$status"
}

summary() {
  if grep -q '^ *Summary \[' "$logs/tests"; then
    # After the summary the runner names the tests that failed.
    sed -n '/^ *Summary \[/,$p' "$logs/tests"
  else
    grep '^test result: ' "$logs/tests" || true
    awk '/^test result: / { passed += $4; failed += $6 } END { printf "%d passed, %d failed\n", passed, failed }' "$logs/tests"
  fi
}

trap finish EXIT

everything() {
  run tools
  run fetch
  run shell_syntax
  run format
  run clippy_all_features
  run clippy_no_features
  run feature_combinations
  run check_benches
  run build_examples
  run unit_and_integration_tests
  run doc_tests
  run instruction_counts
  run other_members
  run openapi_on_a_server
  run browser_tests
  run documentation
  run package
  run dependencies
  run advisories
  run oldest_rust
  run fuzz
}

case ${1:-} in
  "") everything ;;
  step)
    shift
    for name; do run "$name"; done
    ;;
  quick)
    run format
    run quick_clippy
    run quick_tests
    ;;
  *) run area_tests "$1" ;;
esac
