#!/usr/bin/env bash
# Prints the size of each folder of the code: files, lines of code and of tests, and public items.
# usage: scripts/rooms.sh [folder]     default: src and every crate under crates/
set -euo pipefail
cd "$(dirname "$0")/.."

# A file named tests.rs or in a folder named tests holds only tests. In other files, tests follow the first
# `#[cfg(test)] mod`.
count() {
  find "$1" -name '*.rs' | LC_ALL=C sort | xargs awk -v root="$1/" '
    FNR == 1 {
      path = substr(FILENAME, length(root) + 1)
      room = path
      sub("/.*", "", room)
      sub("[.]rs$", "", room)
      files[room]++
      tests = path ~ /(^|\/)tests(\/|\.rs$)/
      pending = 0
    }
    /^#\[cfg\(.*test.*\)\]$/ { pending = 1 }
    pending && /^mod [a-z_]+ \{$/ { tests = 1 }
    !/^#\[/ { pending = 0 }
    { if (tests) test_lines[room]++; else lines[room]++ }
    !tests && /^ *pub (const |async |unsafe )*(fn|struct|enum|trait|const|static|type|mod|macro) / { shown[room]++ }
    END {
      for (room in files) {
        printf "%s\t%d\t%d\t%d\t%d\n", room, files[room], lines[room], test_lines[room], shown[room]
      }
    }' | LC_ALL=C sort | awk -F '\t' -v root="$1" '
    BEGIN { printf "%-24s %6s %7s %7s %7s\n", root, "files", "lines", "tests", "public" }
    {
      printf "  %-22s %6d %7d %7d %7d\n", $1, $2, $3, $4, $5
      for (column = 2; column <= 5; column++) sum[column] += $column
    }
    END { printf "  %-22s %6d %7d %7d %7d\n", "all", sum[2], sum[3], sum[4], sum[5] }'
}

if [ $# -gt 0 ]; then count "$1"; else for folder in src crates/*/src; do count "$folder"; done; fi
