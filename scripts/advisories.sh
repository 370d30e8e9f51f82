#!/usr/bin/env bash
# Asks whether anything that the project depends on has a known weakness. Exit status 1: something has. Where that
# cannot be asked, it says `NOT ASKED: ` and why, and ends well: a run that fails for lack of a network would be
# switched off.
set -euo pipefail
cd "$(dirname "$0")/.."

# Long enough for a slow line.
wait=${ADVISORIES_WAIT:-120}

if ! cargo deny --version 2>/dev/null; then
  echo "NOT ASKED: cargo-deny is not installed"
  exit 0
fi
if ! timeout "$wait" cargo deny --all-features fetch db; then
  echo "NOT ASKED: the database of advisories could not be fetched within $wait s"
  exit 0
fi
# What is fetched is all that is needed: from here on a failure is a finding.
cargo deny --all-features check --disable-fetch advisories
