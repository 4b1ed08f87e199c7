#!/usr/bin/env bash
# Installs, starts, upgrades, removes and purges the deb packages on this machine, and checks at each step what is there.
# It needs root on Debian and a machine without Outbound: it is for build machines and containers. There need be no systemd: the line
# ExecStart of the unit is run as the unit's user, and systemd-analyze checks the unit itself.
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { echo "SKIP test-packages: $1"; exit 0; }
[ "$(id -u)" -eq 0 ] || skip "it installs packages and so needs root"
command -v dpkg >/dev/null || skip "there is no dpkg: it needs Debian"
command -v setpriv >/dev/null || skip "there is no setpriv (util-linux)"
! dpkg -s outbound >/dev/null 2>&1 && ! dpkg -s outbound-services >/dev/null 2>&1 || skip "Outbound is installed here already"
[ ! -e /var/lib/outbound ] && [ ! -e /etc/outbound ] || skip "/var/lib/outbound or /etc/outbound is there already"

work=$(mktemp -d)
pid=""
export DEBIAN_FRONTEND=noninteractive
clean() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  dpkg --purge outbound outbound-services >/dev/null 2>&1 || true
  userdel outbound >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT
fail() { echo "FAIL test-packages: $*" >&2; [ ! -s "$work/log" ] || tail -20 "$work/log" >&2; exit 1; }
check() { "$@" || fail "$*"; }
step() { echo "ok   $*"; }
arch=$(dpkg --print-architecture)

for version in 0.0.1 0.0.2; do
  RELEASE_BUILD_FLAGS="" RELEASE_SBOM=no tools/release.sh "$version" "linux/$arch" >"$work/release.log" 2>&1 || { cat "$work/release.log"; fail "release $version"; }
  cp "dist/outbound_${version}_$arch.deb" "dist/outbound-services_${version}_$arch.deb" "$work/"
  (cd dist && sha256sum --quiet -c SHA256SUMS) || fail "checksums"
  rm -f dist/*"${version}"*
done
step "two releases are built: $(cd "$work" && du -h ./*.deb | tr '\t\n' ' ;')"

unit=/usr/lib/systemd/system/outbound.service
# start: runs ExecStart as User in WorkingDirectory, as systemd does, and waits until events are accepted.
start() {
  local line user dir
  line=$(sed -n 's/^ExecStart=//p' "$unit") user=$(sed -n 's/^User=//p' "$unit") dir=$(sed -n 's/^WorkingDirectory=//p' "$unit")
  rm -f /var/lib/outbound/endpoints.json
  # shellcheck disable=SC2086 # the line is words
  (cd "$dir" && exec setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs env -i PATH=/usr/bin:/bin \
    OUTBOUND_HTTP=127.0.0.1:0 OUTBOUND_GRPC=127.0.0.1:0 OUTBOUND_NATS=127.0.0.1:0 $line) >>"$work/log" 2>&1 &
  pid=$!
  for ((i = 0; i < 1200; i++)); do
    [ ! -s /var/lib/outbound/endpoints.json ] || return 0
    kill -0 "$pid" 2>/dev/null || fail "outbound ended at its start"
    sleep 0.1
  done
  fail "outbound is not ready"
}
stop() { kill -TERM "$pid"; wait "$pid" || fail "outbound ended with $?"; pid=""; }
cli() { outbound --data /var/lib/outbound "$@"; }

check dpkg -i "$work/outbound_0.0.1_$arch.deb" >"$work/log" 2>&1
check test "$(outbound version)" = "outbound version 0.0.1"
check test "$(stat -c '%U %a' /var/lib/outbound)" = "outbound 700"
start
check test "$(ps -o user= -p "$pid" | tr -d ' ')" = outbound
cli appliances add appliance-1 >/dev/null || fail "add an appliance"
cli events publish --appliance appliance-1 --event support_conference_end --id e-1 --external-key INC-1 >/dev/null || fail "publish"
check test "$(cli status -o json | grep -c '"version": "0.0.1"')" -ge 1
stop
step "installed, started as its user from ExecStart, an event accepted, stopped with 0"

echo "# a change of the operator" >>/etc/outbound/outbound.yaml
check dpkg -i "$work/outbound_0.0.2_$arch.deb" >>"$work/log" 2>&1
check test "$(outbound version)" = "outbound version 0.0.2"
check grep -q "a change of the operator" /etc/outbound/outbound.yaml
start
check test "$(cli events list -o json | grep -c 'appliance-1~e-1')" -ge 1
cli appliances list | grep -q appliance-1 || fail "the appliance is gone after the upgrade"
stop
step "upgraded to the next build with its data and its options"

check dpkg -i "$work/outbound-services_0.0.2_$arch.deb" >>"$work/log" 2>&1
for service in config ingest history http-sender email-sender console; do
  check /usr/libexec/outbound/$service --check --options /etc/outbound/services/$service.yaml >>"$work/log" 2>&1
done
step "the services are installed beside it, and each accepts its options"

if command -v systemd-analyze >/dev/null; then
  for file in /usr/lib/systemd/system/outbound*.service; do
    systemd-analyze verify "$file" >"$work/verify" 2>&1 || true
    ! grep -q "$(basename "$file")" "$work/verify" || { cat "$work/verify" >&2; fail "systemd-analyze verify $file"; }
    score=$(systemd-analyze security --offline=true "$file" 2>/dev/null | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\).*/\1/p')
    step "$(basename "$file"): exposure ${score:-unknown} of 10"
    [ -z "$score" ] || awk -v s="$score" 'BEGIN { exit !(s <= 2) }' || fail "the exposure of $file is $score, more than 2"
  done
else
  echo "SKIP test-packages: units are not analyzed: there is no systemd-analyze"
fi

check dpkg --remove outbound outbound-services >>"$work/log" 2>&1
check test ! -e /usr/bin/outbound -a ! -e "$unit" -a ! -e /usr/libexec/outbound
check test -d /var/lib/outbound/broker -a -e /etc/outbound/outbound.yaml
check dpkg -i "$work/outbound_0.0.2_$arch.deb" >>"$work/log" 2>&1
start
check test "$(cli events list -o json | grep -c 'appliance-1~e-1')" -ge 1
stop
step "removed and installed again: data and options were kept"
check dpkg --purge outbound outbound-services >>"$work/log" 2>&1
check test ! -e /var/lib/outbound -a ! -e /etc/outbound
step "purged: data, options and secrets are gone"
echo "test-packages passed. Not shown: a start by systemd itself, and the rpm packages, which are built alone."
