#!/usr/bin/env bash
# Builds what is released, into dist/: archives of static binaries, deb and rpm packages, an SBOM if `make sbom` is there, and checksums.
#
#     release.sh VERSION [PLATFORM...]     e.g. release.sh 1.2.0, or release.sh 1.2.0 linux/amd64
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?say which version, e.g. 1.2.0}
version=${version#v}
shift
platforms=("$@")
[ "${#platforms[@]}" -gt 0 ] || platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64)
case "$version" in
  [0-9]*) ;;
  *) version=0.0.0-$version ;; # packages want a version that begins with a digit
esac
# Tests build without -trimpath, from what is compiled already, and without an SBOM (RELEASE_SBOM=no).
flags=${RELEASE_BUILD_FLAGS--trimpath}
services=(config ingest history http-sender email-sender console)
mkdir -p dist
export CGO_ENABLED=0

# build OS ARCH: the binaries, into .build/release/OS_ARCH. On Windows the command line alone is supported.
build() {
  local out=.build/release/$1_$2 name suffix=""
  [ "$1" = windows ] && suffix=.exe
  rm -rf "$out" && mkdir -p "$out"
  local names=(outbound "${services[@]}")
  [ "$1" = windows ] && names=(outbound)
  for name in "${names[@]}"; do
    # shellcheck disable=SC2086 # the flags are words
    GOOS=$1 GOARCH=$2 go build $flags -buildvcs=false -ldflags "-s -w -X github.com/outbound-events/outbound/pkg/process.version=$version" \
      -o "$out/$name$suffix" "./services/cmd/$name"
  done
  cp LICENSE README.md CHANGELOG.md "$out/"
}

# archive OS ARCH: one reproducible archive of a platform.
archive() {
  local name=outbound_${version}_$1_$2
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" -C .build/release -c "$1_$2" | gzip -n >"dist/$name.tar.gz"
}

# pack ARCH: the packages of Linux. A hyphen in a version has a meaning of its own there; ~ comes before the release.
pack() {
  local format package
  for package in outbound services; do
    for format in deb rpm; do
      ARCH=$1 VERSION=${version//-/\~} BIN=.build/release/linux_$1 .bin/nfpm package --config "deploy/packages/$package.yaml" --packager "$format" \
        --target dist/ >.build/nfpm.log || { cat .build/nfpm.log; return 1; }
    done
  done
}

for platform in "${platforms[@]}"; do
  os=${platform%/*} arch=${platform#*/}
  echo "release: $platform"
  build "$os" "$arch"
  archive "$os" "$arch"
  [ "$os" != linux ] || pack "$arch"
done
if [ "${RELEASE_SBOM-yes}" = yes ] && grep -q '^sbom:' Makefile; then
  make sbom VERSION="$version" >/dev/null
  cp sbom/* dist/
fi
(cd dist && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%f\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
(cd dist && cat SHA256SUMS)
