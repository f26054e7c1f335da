#!/usr/bin/env bash
# Runs the tests of a build folder: ctest, then pytest if the folder has a Python environment.
#   scripts/test.sh [BUILD]            ctest options in CTEST_ARGS, pytest options in PYTEST_ARGS
# The last line is "N passed, N failed"; the exit status says whether none failed and some passed.
set -uo pipefail
build=$(realpath "${1:-build}")
cd "$(dirname "$0")/.."
passed=0
failed=0

# The count that stands before a word in pytest's last line: "3 failed, 12 passed in 4.1s".
count() { local n; n=$(tail -n 1 "$build/pytest.log" | grep -oE "[0-9]+ $1" | grep -oE '^[0-9]+') || true; echo "${n:-0}"; }

# shellcheck disable=SC2086
ctest --test-dir "$build" --output-on-failure --timeout 600 -j "$(nproc)" ${CTEST_ARGS:-} 2>&1 | tee "$build/ctest.log"
status=${PIPESTATUS[0]}
total=$(sed -nE 's/.* tests? failed out of ([0-9]+)$/\1/p' "$build/ctest.log")
ctest_failed=$(sed -nE 's/.* ([0-9]+) tests? failed out of [0-9]+$/\1/p' "$build/ctest.log")
skipped=$(grep -cE '\*\*\*Skipped' "$build/ctest.log")
if [ "${ctest_failed:-0}" -eq 0 ] && { [ "$status" -ne 0 ] || [ "${total:-0}" -eq 0 ]; }; then
    ctest_failed=1                                                          # ctest itself failed, or found no test
fi
failed=$((failed + ctest_failed))
passed=$((passed + ${total:-0} - ctest_failed - skipped))
[ "$passed" -ge 0 ] || passed=0

if [ -x "$build/venv/bin/pytest" ] && compgen -G 'tests/py/test_*.py' > /dev/null; then
    # shellcheck disable=SC2086
    ISO_BUILD=$build "$build/venv/bin/pytest" tests/py -q -rs --color=no -p no:cacheprovider --timeout 600 ${PYTEST_ARGS:-} 2>&1 |
        tee "$build/pytest.log"
    status=${PIPESTATUS[0]}
    pytest_failed=$(($(count failed) + $(count 'errors?')))
    [ "$status" -eq 0 ] || [ "$pytest_failed" -gt 0 ] || pytest_failed=1     # pytest itself failed
    failed=$((failed + pytest_failed))
    passed=$((passed + $(count passed)))
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
