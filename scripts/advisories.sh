#!/usr/bin/env bash
# Asks whether anything that the project depends on has a known weakness. Exit status 1: something has. Where that
# cannot be asked, it says `NOT ASKED: ` and why, and ends well: a run that fails for lack of a network would be
# switched off. With ADVISORIES_REQUIRED=1 that is a failure, too: exit status 2.
set -euo pipefail
cd "$(dirname "$0")/.."

# Long enough for a slow line.
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
# What is fetched is all that is needed: from here on a failure is a finding.
cargo deny --all-features check --disable-fetch advisories
