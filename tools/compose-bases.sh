#!/usr/bin/env bash
# Makes the base images that deploy/Dockerfile and docker-compose.yml name from what this machine has, for an engine that reaches no
# registry: compose-bases.sh FOLDER. DOCKER names the client, PROMETHEUS=yes makes its base too. What an image has and the real one has not, or the other way round, is printed.
set -euo pipefail
cd "$(dirname "$0")/.."
docker=${DOCKER:-docker}
work=$1/bases
differs() { printf '%-14s %s\n' "base" "$1"; }
need() { command -v "$1" >/dev/null || { echo "compose-bases: $1 is missing: install $2" >&2; exit 1; }; }
need busybox busybox-static
need redis-server redis-server

# skeleton DIR: what every base has.
skeleton() {
  rm -rf "$1"
  mkdir -p "$1"/{tmp,etc/ssl/certs,usr/share} && chmod 1777 "$1/tmp"
  cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
  printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532::/:/sbin/nologin\n' >"$1/etc/passwd"
  printf 'root:x:0:\nnonroot:x:65532:\n' >"$1/etc/group"
  [ ! -d /usr/share/zoneinfo ] || cp -r /usr/share/zoneinfo "$1/usr/share/"
}
# shell DIR: a static shell and its tools.
shell() {
  mkdir -p "$1/bin"
  cp "$(command -v busybox)" "$1/bin/busybox"
  local tool
  for tool in sh cat mkdir mv wget ls cp rm sleep; do ln -s busybox "$1/bin/$tool"; done
}
# bring DIR FILE: a program with the libraries it is linked with.
bring() {
  install -D "$2" "$1/usr/local/bin/$(basename "$2")"
  { ldd "$2" 2>/dev/null | grep -oE '/[^ ]+' || true; } | while read -r lib; do install -D "$(readlink -f "$lib")" "$1$lib"; done
}
# What the images are made of: one that was made of the same is kept.
of=$({ cat tools/compose-bases.sh services/go.sum tools/prometheus/go.sum; go version; redis-server --version; } | sha256sum | cut -c1-16)
# kept NAME: whether the image is there, made of the same.
kept() { [ "$("$docker" image inspect --format '{{index .Config.Labels "outbound.bases"}}' "$1" 2>/dev/null)" = "$of" ]; }
# made DIR NAME CHANGE...: the image.
made() {
  local dir=$1 name=$2 changes=(--change "LABEL outbound.bases=$of")
  shift 2
  for c in "$@"; do changes+=(--change "$c"); done
  tar -C "$dir" -c . | "$docker" import "${changes[@]}" - "$name" >/dev/null
  rm -rf "$dir"
}
image() { sed -nE "s/$1/\\1/p" "$2" | head -1; }

build=$(image '^ARG BUILD_IMAGE=(.*)$' deploy/Dockerfile)
base=$(image '^ARG BASE_IMAGE=(.*)$' deploy/Dockerfile)
nats=$(image '.*\$\{NATS_IMAGE:-([^}]*)\}.*' docker-compose.yml)
redis=$(image '.*\$\{REDIS_IMAGE:-([^}]*)\}.*' docker-compose.yml)

if ! kept "$base"; then
  skeleton "$work/base"
  made "$work/base" "$base" 'USER 65532' 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'
fi
differs "$base: certificates and time zones of this machine"

if ! kept "$build"; then
  skeleton "$work/build"
  shell "$work/build"
  mkdir -p "$work/build/usr/local" "$work/build/proxy"
  cp -r "$(go env GOROOT)" "$work/build/usr/local/go"
  modules=$work/modules
  mkdir -p "$modules"
  # The modules as this machine's Go gets them: a build in a container asks nobody.
  GOMODCACHE=$modules GOFLAGS=-modcacherw go -C services mod download
  cp -r "$modules/cache/download/." "$work/build/proxy/"
  made "$work/build" "$build" 'ENV PATH=/usr/local/go/bin:/bin' 'ENV GOPATH=/go' 'ENV GOPROXY=file:///proxy' 'ENV GOSUMDB=off' 'ENV GOTOOLCHAIN=local'
fi
differs "$build: $(go env GOVERSION) of this machine, busybox, modules from a folder (go.sum holds their hashes)"

if ! kept "$nats"; then
  skeleton "$work/nats"
  shell "$work/nats"
  CGO_ENABLED=0 go build -trimpath -o "$work/nats-server" github.com/nats-io/nats-server/v2
  bring "$work/nats" "$work/nats-server"
  made "$work/nats" "$nats" 'ENV PATH=/usr/local/bin:/bin'
fi
differs "$nats: built from its module (v$(go list -m -f '{{.Version}}' github.com/nats-io/nats-server/v2 | tr -d v)), busybox"

if ! kept "$redis"; then
  skeleton "$work/redis"
  shell "$work/redis"
  bring "$work/redis" "$(command -v redis-server)"
  bring "$work/redis" "$(command -v redis-cli)"
  made "$work/redis" "$redis" 'ENV PATH=/usr/local/bin:/bin'
fi
differs "$redis: $(redis-server --version | grep -oE 'v=[0-9.]+') of Debian"

if [ "${PROMETHEUS:-}" = yes ]; then
  prometheus=$(image '.*\$\{PROMETHEUS_IMAGE:-([^}]*)\}.*' docker-compose.yml)
  if ! kept "$prometheus"; then
    skeleton "$work/prometheus"
    shell "$work/prometheus"
    mkdir "$work/prometheus/prometheus" && chmod 777 "$work/prometheus/prometheus"
    # Without the discovery of clouds, which is most of it.
    (cd tools/prometheus && GOWORK=off CGO_ENABLED=0 go build -trimpath -tags remove_all_sd,enable_dns_sd -o "$work/prometheus-server" \
      github.com/prometheus/prometheus/cmd/prometheus)
    bring "$work/prometheus" "$work/prometheus-server"
    made "$work/prometheus" "$prometheus" 'ENV PATH=/usr/local/bin:/bin' 'ENTRYPOINT ["/usr/local/bin/prometheus-server"]' 'USER 65534'
  fi
  differs "$prometheus: built from its module, with DNS as only discovery and without its pages"
fi
