#!/usr/bin/env bash
# Checks what `make demo` wrote: scripts/check_demo.sh demo. The last line is "N passed, N failed".
set -uo pipefail
demo=$1
passed=0
failed=0

check() {               # check WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "demo: FAILED: $what"; fi
}
at_least() { [ -f "$demo/$1" ] && [ "$(stat -c %s "$demo/$1")" -ge "$2" ]; }
# run.json says KEY: "VALUE" somewhere, at any depth
says() {
    python3 - "$demo/run.json" "$@" << 'PYTHON'
import json
import sys


def values(node, key):
    for k, v in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from [v] if k == key else values(v, key)


path, key, value = sys.argv[1:]
sys.exit(value not in values(json.load(open(path, encoding="utf-8")), key))
PYTHON
}

while read -r file bytes; do
    check "$file is there and has at least $bytes bytes" at_least "$file" "$bytes"
done << 'FILES'
model.safetensors 100000
latent.h5ad 50000
report.html 20000
run.json 200
log.txt 200
FILES
check "run.json is JSON" python3 -m json.tool "$demo/run.json" /dev/null
check "run.json says that the model is healthy" says verdict healthy
check "latent.h5ad is HDF5" python3 -c 'import sys; sys.exit(open(sys.argv[1], "rb").read(8) != b"\x89HDF\r\n\x1a\n")' "$demo/latent.h5ad"
check "report.html is complete and asks no other machine for anything" python3 -c '
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
sys.exit("</html>" not in text or bool(re.search(r"(src|href)\s*=\s*[\"\x27]?(https?:)?//", text)))' "$demo/report.html"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
