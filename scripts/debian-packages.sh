#!/bin/sh
# Installs what only some tests need and only a package manager has: a headless browser for the
# dashboard, Redis, and what runs answers in JavaScript and C. Without root or apt-get nothing
# happens, and those tests say that they are skipped.
set -eu
missing=
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1 ||
  missing="$missing redis-server"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v gcc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq >&2
  # In this run level no service is started: the tests start their own.
  # shellcheck disable=SC2086 # a list of words
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
else
  echo "missing, and no way to install it:$missing; what needs it is not tested" >&2
fi
