#!/usr/bin/env bash
# Checks whether a dependency of the project has a known weakness. Exit status 1: one has. If the check is not possible,
# the script prints `NOT ASKED: ` and the reason, and exits with 0: a step that fails for lack of a network would soon
# be disabled. With ADVISORIES_REQUIRED=1 that is also a failure: exit status 2.
set -euo pipefail
cd "$(dirname "$0")/.."

# Seconds, enough for a slow network.
wait=${ADVISORIES_WAIT:-120}

not_asked() {
  echo "NOT ASKED: $1"
  if [ "${ADVISORIES_REQUIRED:-}" = 1 ]; then
    exit 2
  fi
  exit 0
}

if ! cargo deny --version 2>/dev/null; then
  not_asked "cargo-deny is not installed"
fi
if ! timeout "$wait" cargo deny --all-features fetch db; then
  not_asked "the database of advisories could not be fetched within $wait s"
fi
# Everything needed is fetched, so a failure from here is a finding.
cargo deny --all-features check --disable-fetch advisories
