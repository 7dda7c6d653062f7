#!/bin/sh
# Installs tests/deploy/package-lock.json from npm, once for each content of that file. Without npm
# nothing happens, and the tests that need it say that they are skipped.
set -eu
cd "$(dirname "$0")/../tests/deploy"
# Written last, so that an interrupted installation is repeated.
installed=node_modules/installed.json
if cmp -s package-lock.json "$installed"; then
  exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
  echo "missing: npm; the Kubernetes resources in deploy/ are not checked against their schemas" >&2
  exit 0
fi
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
cp package-lock.json "$installed"
