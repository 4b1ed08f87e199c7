#!/usr/bin/env bash
# Tests everything N times while every core is kept busy by others: test-busy.sh N
set -euo pipefail
cd "$(dirname "$0")/.."
cores=$(getconf _NPROCESSORS_ONLN)
stress-ng --cpu $((2 * cores)) --quiet &
others=$!
trap 'kill "$others" 2>/dev/null || true; wait "$others" 2>/dev/null || true' EXIT
echo "busy: $((2 * cores)) processes of stress-ng on $cores cores"
tools/test-again.sh busy "$1"
