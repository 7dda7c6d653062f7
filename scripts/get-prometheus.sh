#!/usr/bin/env bash
# Finds Prometheus on PATH, or unpacks Debian's package into .prometheus/ without installing it.
# Where neither works, the test that needs it is skipped, which CI does not accept.
set -euo pipefail
cd "$(dirname "$0")/.."

unpacked=.prometheus/usr/bin/prometheus

if command -v prometheus; then
    exit 0
fi
if [ ! -x $unpacked ] && command -v apt-get dpkg-deb >/dev/null; then
    mkdir -p .prometheus
    download() { (cd .prometheus && apt-get download -qq prometheus) >&2; }
    # A fresh container has no package lists; fetching them needs root.
    download 2>/dev/null || { apt-get update -qq >&2 && download; } || true
    for package in .prometheus/prometheus_*.deb; do
        [ ! -e "$package" ] || dpkg-deb -x "$package" .prometheus
        rm -f "$package"
    done
fi
if [ -x $unpacked ]; then
    echo "$PWD/$unpacked"
else
    echo "warning: no Prometheus; the dashboard's queries will not be tested" >&2
    echo "hint: on Debian, apt-get install prometheus" >&2
fi
