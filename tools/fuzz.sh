#!/usr/bin/env bash
# Runs every fuzz target for a while: fuzz.sh TIME [PATTERN], e.g. fuzz.sh 10s Decode
# What a target finds is written to testdata/fuzz of its package, where it stays as a test.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
pattern=${2:-.}

n=0
failed=()
while IFS=: read -r file line; do
  name=${line#func }
  name=${name%%(*}
  [[ $name =~ $pattern ]] || continue
  n=$((n + 1))
  echo "fuzz $name in $(dirname "$file") for $time"
  go test "./$(dirname "$file")" -run '^$' -fuzz "^$name\$" -fuzztime "$time" -timeout 0 || failed+=("$name")
done < <(grep -rE '^func Fuzz[A-Za-z0-9]+\(' --include='*_test.go' pkg services proto e2e | sort)

if [ "$n" -eq 0 ]; then
  echo "fuzz: no target matches $pattern" >&2
  exit 1
fi
if [ "${#failed[@]}" -gt 0 ]; then
  echo "fuzz: ${failed[*]} failed: see above" >&2
  exit 1
fi
echo "fuzz: $n targets found nothing"
