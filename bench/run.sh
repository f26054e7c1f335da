#!/usr/bin/env bash
# Measures Isolario and scvi-tools side by side, in one run on this machine: bench/run.sh [--only PARTS] [CELLS.h5ad ...]; --help says more.
# Makes its own Python environment in bench/out/venv (about 2 GB or more), unless BENCH_PYTHON names a Python that has scvi-tools.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bench/out
python=${BENCH_PYTHON:-bench/out/venv/bin/python}
if [ -z "${BENCH_PYTHON:-}" ] && ! cmp -s bench/requirements.txt bench/out/venv/installed.txt; then
    echo "bench: installing bench/requirements.txt into bench/out/venv" >&2
    rm -rf bench/out/venv
    python3 -m venv bench/out/venv
    bench/out/venv/bin/pip install --quiet --disable-pip-version-check --no-input --requirement bench/requirements.txt
    cp bench/requirements.txt bench/out/venv/installed.txt
fi
exec "$python" bench/bench.py --program build/isolario "$@"
