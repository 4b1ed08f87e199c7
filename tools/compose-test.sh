#!/usr/bin/env bash
# Builds the images of docker-compose.yml with the real Dockerfile, starts everything on a container engine, and runs the suite of containers.
#
#     compose-test.sh [go test flags...]      e.g. compose-test.sh -failfast
#
# The engine: one of its own where dockerd is installed and the user is root, with its own data and no effect on another; else the one that
# the docker client reaches. BASES=registry pulls the base images that the files name. Without it, they are made here from what this
# machine has (tools/compose-bases.sh), in the engine of its own alone: what differs from the real ones is printed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
skip() { echo "SKIP test-compose: $1"; exit 0; }
step() { printf '%-14s %s\n' "$1" "$2"; }

work=$root/.build/compose
mkdir -p "$work/bin"
engine=""
clean() {
  [ -z "$engine" ] || { kill "$engine" 2>/dev/null || true; tail --pid="$engine" -f /dev/null 2>/dev/null || true; }
}
trap clean EXIT

bases=${BASES:-made}
network=default
if [ "$(id -u)" -eq 0 ] && command -v dockerd >/dev/null; then
  run=$(mktemp -d)
  export DOCKER_HOST=unix://$run/docker.sock
  dockerd --host "$DOCKER_HOST" --data-root "${ENGINE_DATA:-/var/lib/outbound-compose-test}" --exec-root "$run/exec" --pidfile "$run/pid" \
    --bridge none \
    >"$work/engine.log" 2>&1 &
  engine=$!
  [ "$bases" = registry ] || network=none
  for ((i = 0; i < 600; i++)); do
    docker version >/dev/null 2>&1 && break
    kill -0 "$engine" 2>/dev/null || { tail -5 "$work/engine.log"; skip "dockerd does not start here (above)"; }
    sleep 0.1
  done
elif command -v docker >/dev/null && docker version >/dev/null 2>&1; then
  [ "$bases" = registry ] || skip "base images are made only in an engine of its own, which needs root and dockerd; set BASES=registry to pull them"
else
  skip "there is no container engine: install docker.io and run as root"
fi
# A client that builds with BuildKit: newer ones need a plugin for it that may be missing.
docker=""
for candidate in docker /usr/bin/docker; do
  printf 'FROM scratch\nLABEL test=1\n' | DOCKER_BUILDKIT=1 "$candidate" build -q - >/dev/null 2>&1 && { docker=$candidate; break; }
done
[ "$docker" ] || skip "no docker client here can build with BuildKit: install docker.io, or the plugin buildx"
step engine "$("$docker" version --format '{{.Server.Version}}'), $("$docker" info --format '{{.Driver}}, cgroup v{{.CgroupVersion}}, {{.NCPU}} cores')"

compose=$work/bin/docker-compose
if [ ! -x "$compose" ] || [ tools/compose/go.sum -nt "$compose" ]; then
  (cd tools/compose && GOWORK=off CGO_ENABLED=0 go build -o "$compose" github.com/docker/compose/v2/cmd)
fi
step compose "$("$compose" version --short 2>/dev/null || echo built)"

case $bases in
  registry) "$compose" -f docker-compose.yml --profile observability pull --quiet ;;
  made) DOCKER=$docker PROMETHEUS=${PROMETHEUS:-yes} tools/compose-bases.sh "$work" ;;
  *) echo "BASES is $bases: it can be made or registry" >&2; exit 2 ;;
esac

for binary in config ingest http-sender email-sender history console demo; do
  DOCKER_BUILDKIT=1 "$docker" build -q --network "$network" --build-arg "BINARY=$binary" --build-arg "VERSION=compose-test" -f deploy/Dockerfile -t "outbound/$binary" . >/dev/null
  step "image" "outbound/$binary $("$docker" image inspect --format '{{.Size}}' "outbound/$binary" | numfmt --to=iec)"
done

# The receivers of the tests listen at this machine's address in a network of their own.
net=outbound-test
"$docker" network rm "$net" >/dev/null 2>&1 || true
"$docker" network create --subnet "${SUBNET:-172.31.251.0/24}" "$net" >/dev/null
host=$("$docker" network inspect --format '{{(index .IPAM.Config 0).Gateway}}' "$net")
[ "$host" ] || host=$("$docker" network inspect --format '{{(index .IPAM.Config 0).Subnet}}' "$net" | sed 's#0/.*#1#')
OUTBOUND_TEST_COMPOSE=$compose OUTBOUND_TEST_DOCKER=$docker OUTBOUND_TEST_NETWORK=$net OUTBOUND_TEST_HOST=$host \
  go test -count=1 -timeout 60m -v -run '^TestContainers$' "$@" ./e2e
"$docker" network rm "$net" >/dev/null 2>&1 || true
