#!/usr/bin/env bash
# Tests everything N times, nothing of it from the cache: test-again.sh NAME N [COMMAND...], where a command may precede make.
# It ends with the first run that fails, and says what each took.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1 runs=$2
shift 2
for run in $(seq "$runs"); do
  started=$SECONDS
  echo "$name: run $run of $runs"
  if ! "$@" make test TEST_ARGS="-count=1 ${TEST_ARGS:-}"; then
    echo "$name: run $run of $runs FAILED after $((SECONDS - started)) s" >&2
    exit 1
  fi
  echo "$name: run $run of $runs passed after $((SECONDS - started)) s"
done
