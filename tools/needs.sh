#!/usr/bin/env bash
# Makes sure that programs the tests need are there: needs.sh PROGRAM...
# On Debian it installs what is missing; elsewhere it says what to install.
set -euo pipefail

# The Debian packages of a program.
packages() {
  case "$1" in
    gcc) echo "gcc libc6-dev" ;; # the race detector needs cgo
    busybox) echo "busybox-static" ;;
    redis-server) echo "redis-server" ;;
    chromium) echo "chromium" ;;
    taskset) echo "util-linux" ;;
    postfix) echo "postfix" ;; # a relay of its own is started by the tests; the package's one is not used
    node) echo "nodejs" ;;
    php) echo "php-cli" ;;
    *) echo "$1" ;;
  esac
}

# Where system programs are, which the search path of users may leave out.
PATH=$PATH:/usr/sbin:/sbin
missing=()
for program in "$@"; do
  command -v "$program" >/dev/null || missing+=("$program")
done
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi

wanted=()
for program in "${missing[@]}"; do
  read -ra names <<<"$(packages "$program")"
  wanted+=("${names[@]}")
done

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
fi
if command -v apt-get >/dev/null && { [ "${#as_root[@]}" -eq 0 ] || sudo -n true 2>/dev/null; }; then
  echo "installing ${wanted[*]}"
  export DEBIAN_FRONTEND=noninteractive
  install=("${as_root[@]}" apt-get -qq install -y --no-install-recommends "${wanted[@]}")
  "${install[@]}" >/dev/null 2>&1 || { "${as_root[@]}" apt-get -qq update && "${install[@]}" >/dev/null; }
  exit 0
fi
echo "the tests need ${missing[*]}: install it and run this again (on Debian: apt-get install ${wanted[*]})" >&2
exit 1
