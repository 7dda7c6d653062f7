#!/bin/sh
# Installs a Java where there is none, with apt-get, when we are root. Elsewhere only says so: the
# Spark test is then skipped with the reason, except on CI, where it fails.
set -eu

if command -v java >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "no Java, and no leave to install one: the Spark test will be skipped" >&2
    exit 0
fi
{
    apt-get update
    apt-get install --yes --no-install-recommends default-jre-headless
} >&2
