#!/bin/sh
# Installs what only some tests need and only a package manager has: a headless browser for the
# dashboard. Without root or apt-get nothing happens, and those tests say that they are skipped.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >&2
else
  echo "no Chromium, and no way to install it: the dashboard is not tested" >&2
fi
