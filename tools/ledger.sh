#!/usr/bin/env bash
# Builds what some faults of the ledger need, then runs it: ledger.sh FROM ARGUMENT...
# FROM is the git ref of an earlier version, or empty.
set -euo pipefail
from=$1
shift
cd "$(dirname "$0")/.."
root=$PWD
if [ -n "$from" ]; then
  tools/build-ref.sh "$from" .build/ledger-from
  set -- -from "$root/.build/ledger-from" "$@"
fi
if grep -rqs --include='*.go' '^//go:build clockskew' pkg services; then
  mkdir -p .build/ledger-clockskew
  CGO_ENABLED=0 go build -tags clockskew -buildvcs=false -o .build/ledger-clockskew/ ./services/cmd/...
  set -- -clockskew "$root/.build/ledger-clockskew" "$@"
fi
mkdir -p .build
(cd e2e && go build -buildvcs=false -o "$root/.build/ledger-run" ./cmd/ledger)
exec .build/ledger-run "$@"
