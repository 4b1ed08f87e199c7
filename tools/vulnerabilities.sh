#!/usr/bin/env bash
# Looks for known vulnerabilities in what the binaries call: vulnerabilities.sh MODULE...
# The data come from GOVULNDB (https://vuln.go.dev by default; file:///path works too). Where they can't be had, it says so and goes on:
# a check that needs no network stays one.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=$PWD/.bin/govulncheck
db=${GOVULNDB:-https://vuln.go.dev}

if ! curl -fsS -m 10 -o /dev/null "$db/index/db.json" 2>.build/vulnerabilities.err; then
  echo "vulnerabilities: NOT CHECKED: no data from $db: $(tail -1 .build/vulnerabilities.err)"
  echo "vulnerabilities: run 'make vulnerabilities' where it can be reached, or set GOVULNDB to a copy, e.g. file:///srv/vulndb"
  exit 0
fi
fault=0
for module in "$@"; do
  echo "vulnerabilities of $module"
  (cd "$module" && "$tool" -db "$db" ./...) || fault=1
done
exit "$fault"
