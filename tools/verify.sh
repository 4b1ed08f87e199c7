#!/usr/bin/env bash
# Shows that the tree is as the machines would write it: verify.sh MODULE...
# Generated code, formatting and module files are compared with what the tools make now; the contract is compared with the
# last landed one. Uncommitted work is fine: the tree is compared with itself, not with a commit.
set -euo pipefail
cd "$(dirname "$0")/.."
fault=0

complain() {
  echo "verify: $1" >&2
  fault=1
}

sums() { find proto e2e/openapiclient -type f | sort | xargs sha256sum; }

mkdir -p .build
sums >.build/before
make generate
sums >.build/after
diff .build/before .build/after || complain "generated code was stale; it is fresh now: review and commit it"

unformatted=$(gofmt -l "$@" tools)
[ -z "$unformatted" ] || complain "not formatted (run make fmt): $unformatted"

for module in "$@"; do
  (cd "$module" && go mod tidy -diff) || complain "$module/go.mod or go.sum is not tidy: run go mod tidy in $module"
done

# The last landed contract: where this branch left main, or main itself.
base=""
for ref in origin/main main; do
  if base=$(git merge-base HEAD "$ref" 2>/dev/null) && git cat-file -e "$base:proto/outbound" 2>/dev/null; then
    break
  fi
  base=""
done
if [ -n "$base" ]; then
  rm -rf .build/landed
  mkdir -p .build/landed/.build
  git archive "$base" proto/outbound buf.yaml | tar -x -C .build/landed
  cp -r .build/protodeps .build/landed/.build/protodeps
  .bin/buf breaking --against .build/landed || complain "the contract breaks its users: add fields instead, keep numbers and names"
else
  echo "verify: no contract has landed yet, nothing to compare with"
fi
exit "$fault"
