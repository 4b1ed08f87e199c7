#!/usr/bin/env bash
# Builds the binaries of an earlier version into a folder, with its options files beside them: build-ref.sh REF FOLDER
set -euo pipefail
ref=$1 to=$2
cd "$(dirname "$0")/.."
commit=$(git rev-parse --verify --quiet "$ref^{commit}") || { echo "build-ref: there is no git ref $ref" >&2; exit 2; }
if [ "$(cat "$to/commit" 2>/dev/null)" = "$commit" ]; then exit 0; fi
tree=$(mktemp -d)
trap 'git worktree remove --force "$tree/source" 2>/dev/null; rm -rf "$tree"' EXIT
git worktree add --detach --quiet "$tree/source" "$commit"
rm -rf "$to"
mkdir -p "$to/bin" "$to/deploy"
cp -r "$tree/source/deploy/options" "$to/deploy/options"
to=$(cd "$to" && pwd)
(cd "$tree/source" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$to/bin/" ./services/cmd/...)
git describe --tags --always "$commit" > "$to/ref"
echo "$commit" > "$to/commit"
