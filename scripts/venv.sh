#!/usr/bin/env bash
# Makes the Python environment of the tests: scripts/venv.sh BUILD/venv. Does nothing if it is up to date.
set -euo pipefail
venv=$1
requirements=$(dirname "$0")/../tests/py/requirements.txt

if cmp -s "$requirements" "$venv/installed.txt"; then exit 0; fi
echo "venv: installing tests/py/requirements.txt into $venv" >&2
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-input --only-binary :all: --requirement "$requirements"
cp "$requirements" "$venv/installed.txt"        # last: marks a complete installation
