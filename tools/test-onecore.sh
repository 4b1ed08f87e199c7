#!/usr/bin/env bash
# Tests everything N times on one core, the first that we may use: test-onecore.sh N
set -euo pipefail
cd "$(dirname "$0")/.."
allowed=$(taskset -cp $$ | sed 's/.*: //')
core=${allowed%%[,-]*}
echo "one core: $core of $allowed"
tools/test-again.sh "one core" "$1" taskset -c "$core"
