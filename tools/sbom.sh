#!/usr/bin/env bash
# Writes a software bill of materials (CycloneDX, JSON) of each binary in bin/ into sbom/, from what the linker wrote into it: sbom.sh VERSION
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p sbom
for binary in bin/*; do
  out=sbom/$(basename "$binary").cdx.json
  .bin/cyclonedx-gomod bin -json -std -version "$1" -output "$out" "$binary"
  echo "$out"
done
