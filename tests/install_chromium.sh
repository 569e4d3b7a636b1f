#!/bin/sh
# Debian's and Ubuntu's headless browser; elsewhere the message says what is wanted.
set -eu
if ! command -v apt-get > /dev/null; then
    echo "The tests open the rendered book in Chromium. Install it so that 'chromium' is on PATH." >&2
    exit 1
fi
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends chromium > /dev/null
