#!/usr/bin/env bash
# Asks a running server of the routes what its OpenAPI document promises, as three people: a member of a team, its admin
# and an admin of the organization. schemathesis makes the requests, good ones and bad ones, from a fixed seed. Exit
# status 0: every answer was a documented one, and none was a 5xx. The last line has the number of requests.
# usage: scripts/openapi.sh [examples for each operation]
set -euo pipefail
cd "$(dirname "$0")/.."

examples=${1:-10}
# Fewer would mean that the document lost routes, or the tool found nothing to try.
fewest=1500
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
tools=$PWD/crates/http/tests/openapi-tools.txt
document=$PWD/crates/http/openapi.json
work=$CARGO_TARGET_DIR/openapi

# An environment of its own, made again when the list of tools changes.
mkdir -p "$work"
if ! cmp -s "$tools" "$work/installed"; then
  rm -rf "$work/tools" "$work/installed"
  python3 -m venv "$work/tools"
  "$work/tools/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$tools"
  cp "$tools" "$work/installed"
fi

"$work/tools/bin/openapi-spec-validator" "$document"

cargo build --locked -p tower-api-keys-http --example three_people
# It ends when its standard input does, so also if this script is killed.
coproc server { "$CARGO_TARGET_DIR/debug/examples/three_people"; }
read -r about <&"${server[0]}"
url=$(sed 's/.*"url":"\([^"]*\)".*/\1/' <<<"$about")
keys=$(sed 's/.*"keys":\(\[[^]]*\]\).*/\1/' <<<"$about")

# Of the ids that exist, so that most requests get past 404. 422 is a good answer to a text that the schema allows: it
# counts characters where the routes count bytes, and knows no calendar.
cat >"$work/schemathesis.toml" <<TOML
[dictionaries]
keys = { values = $keys }
owners = { values = ["engineering", "sales", "alice", "mo"] }
people = { values = ["alice", "mo", "olga"] }

[parameters]
"path.key" = { dictionary = "keys", probability = 0.8 }
"path.owner" = { dictionary = "owners", probability = 0.3 }
"path.user" = { dictionary = "people", probability = 0.5 }

[checks]
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422", "429"]
TOML

cd "$work"
asked=0
for who in olga alice mo; do
  log=$work/$who.log
  if ! timeout 100 tools/bin/schemathesis --config-file schemathesis.toml run "$document" --url "$url" \
    --header "x-user: $who" --checks all --seed 20 --max-examples "$examples" --warnings off >"$log" 2>&1; then
    cat "$log"
    echo "FAILED as $who"
    exit 1
  fi
  count=$(sed -n 's/^ *\([0-9]*\) generated, \1 passed.*/\1/p' "$log")
  echo "$who: ${count:-no} requests, each answered as the document says"
  asked=$((asked + ${count:-0}))
done
[ "$asked" -ge "$fewest" ] || { echo "only $asked requests, not $fewest"; exit 1; }
echo "$asked requests, 0 failures"
