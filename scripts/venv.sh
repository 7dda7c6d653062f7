#!/usr/bin/env bash
# Installs a file of requirements into a virtual environment, once for each content of that file.
#
#   scripts/venv.sh .venv                                          # tests/requirements.txt
#   scripts/venv.sh .venv-clients tests/clients/requirements.txt
#   scripts/venv.sh DIRECTORY REQUIREMENTS --no-deps               # options for pip
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${1:?usage: scripts/venv.sh DIRECTORY [REQUIREMENTS [PIP OPTIONS]]}
wanted=${2:-tests/requirements.txt}
shift $(($# < 2 ? $# : 2))
# Written last, so that an interrupted installation is repeated.
installed=$venv/requirements.txt

if cmp -s "$wanted" "$installed"; then
    exit 0
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "error: python3 with pip is needed for the Python packages in $wanted" >&2
    echo "hint: on Debian, apt-get install python3-pip" >&2
    exit 1
fi
rm -rf "$venv"
# Without pip inside: Debian splits ensurepip off into python3-venv, which need not be there.
python3 -m venv --without-pip "$venv"
python3 -m pip --python "$venv/bin/python" install \
    --quiet --disable-pip-version-check "$@" --requirement "$wanted" >&2
cp "$wanted" "$installed"
