#!/usr/bin/env bash
# Makes the secrets that docker-compose.yml mounts, those that are missing; never overwrites one.
# The folder is closed to others; the files in it are readable, because compose mounts them with the owner and mode they have
# here and the services run as another user.
#
#     make-secrets.sh [FOLDER]      default: secrets, beside this file
set -euo pipefail
here=$(dirname "$0")
dir=${1:-$here/secrets}
mkdir -p "$dir"
chmod 700 "$dir"

# random PREFIX BYTES: that many random bytes in URL-safe base64. The prefix keeps it a word wherever it is put.
random() { printf '%s%s\n' "$1" "$(head -c "$2" /dev/urandom | base64 -w0 | tr '+/' '-_' | tr -d '=')"; }

# secret NAME COMMAND...: writes what the command prints into the file, unless it is there.
secret() {
  local file=$dir/$1
  shift
  if [ -e "$file" ]; then
    echo "kept $file"
    return
  fi
  "$@" >"$file.new"
  chmod 444 "$file.new"
  mv "$file.new" "$file"
  echo "made $file"
}

# keyset: a Tink keyset in JSON with one AES-256-GCM key of 32 random bytes, what seals passwords and signing secrets in the
# broker's store. The bytes 1a 20 before the key say "field 3, 32 bytes" in Tink's message of a key.
keyset() {
  local id value
  id=$((16#$(head -c 4 /dev/urandom | od -An -tx1 | tr -d ' \n') % 2147483647 + 1))
  value=$({ printf '\x1a\x20'; head -c 32 /dev/urandom; } | base64 -w0)
  printf '{"primaryKeyId":%d,"key":[{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.AesGcmKey",' "$id"
  printf '"value":"%s","keyMaterialType":"SYMMETRIC"},"status":"ENABLED","keyId":%d,"outputPrefixType":"TINK"}]}\n' "$value" "$id"
}

secret admin.token random obt_ 32
secret service.token random obt_ 32
secret console.token random obt_ 32
secret metrics.token random obt_ 32
secret grafana.password random "" 24
secret seal.key keyset

# The certificates of all services, by the product's own command: those that are missing, and those that expire.
outbound=${OUTBOUND:-$here/../bin/outbound}
if [ ! -x "$outbound" ]; then
  echo "$outbound is missing: run make build first, or set OUTBOUND to the binary" >&2
  exit 1
fi
secret checkpoint.key "$outbound" keys new --checkpoint
"$outbound" certificates make --dir "$dir/tls"
# Readable for the users of the containers, as the other secrets are. The authority's key is for this command alone.
find "$dir/tls" -mindepth 1 -type d ! -name ca -exec chmod 755 {} + -o -name tls.key -exec chmod 444 {} + -o -name '*.crt' -exec chmod 444 {} +
chmod 755 "$dir/tls"

# What the broker and the services trust each other by. The broker's configuration includes accounts.conf.
if [ -e "$dir/broker/accounts.conf" ]; then
  echo "kept $dir/broker"
else
  "$outbound" broker make --dir "$dir/broker"
fi
chmod 755 "$dir/broker"
chmod 444 "$dir/broker"/*.creds "$dir/broker"/*.key "$dir/broker/accounts.conf"
[ $# -gt 0 ] || install -m 644 "$dir/broker/accounts.conf" "$here/nats/accounts.conf"
