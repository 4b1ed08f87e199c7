#!/bin/sh
# Has a nats-server in operator mode go on with the streams that it kept while its accounts were in a file:
#
#     adopt.sh STORE_DIR ACCOUNTS_CONF
#
# nats-server keeps the streams of an account in a folder with the account's name, and that of CORE is another one now. It must not run. What was
# adopted before is left as it is. In a cluster the servers also keep the name elsewhere: restore a backup there.
set -eu
store=$1/jetstream
core=$(sed -n '/^ *# CORE$/{n;s/^ *\(A[A-Z2-7]*\):.*/\1/p;}' "$2")
if [ -z "$core" ]; then
  echo "adopt: $2 names no account CORE: write it with outbound broker make" >&2
  exit 1
fi
if [ ! -d "$store/CORE" ]; then
  exit 0
fi
if [ -e "$store/$core" ]; then
  echo "adopt: both $store/CORE and $store/$core are there: move the one away that is not to be used" >&2
  exit 1
fi
mv "$store/CORE" "$store/$core"
echo "adopt: moved the streams of $store/CORE to account $core"
