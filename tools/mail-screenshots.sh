#!/usr/bin/env bash
# Takes the pictures of the default HTML mails in docs/images, from the golden files of pkg/render: what is shown is what is tested.
set -euo pipefail
cd "$(dirname "$0")/.."

browser=$(command -v chromium)
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
mkdir -p docs/images

# shoot NAME PAGE HEIGHT SCHEME: 1 is light, 0 is dark.
shoot() {
  "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$profile" \
    --blink-settings="preferredColorScheme=$4" --window-size="640,$3" --screenshot="$PWD/docs/images/$1.png" "file://$PWD/$2" 2>/dev/null
  size=$(wc -c < "docs/images/$1.png")
  if [ "$size" -gt 61440 ]; then
    echo "docs/images/$1.png has $size bytes: more than 60 KB" >&2
    exit 1
  fi
  echo "docs/images/$1.png ($size bytes)"
}

mails=pkg/render/testdata/mail
shoot mail-session-end "$mails/support_conference_end-full.html" 690 1
shoot mail-session-end-dark "$mails/support_conference_end-full.html" 690 0
shoot mail-customer-survey "$mails/support_conference_customer_exit_survey_completed-full.html" 540 1
shoot mail-rep-survey "$mails/support_conference_rep_exit_survey_completed-full.html" 540 1
shoot mail-own-type "$mails/own_type-full.html" 400 1
