#!/usr/bin/env bash
# Builds and tests the project another way, in build-NAME/; the names are presets of CMakePresets.json.
#   scripts/portability.sh clang sanitize fuzz old-x86 aarch64
# Each prints "N passed, N failed"; the exit status says whether all were good. Packages: section [portability].
set -euo pipefail
cd "$(dirname "$0")/.."

# cmocka and jansson for 64-bit ARM: Debian's packages, unpacked and not installed, from package lists of our own,
# so that the system stays as it is.
arm64_libraries() {
    local root=$PWD/build-aarch64/root apt=$PWD/build-aarch64/apt
    [ -e "$root/complete" ] && return
    mkdir -p "$root" "$apt/state/lists/partial" "$apt/cache/archives/partial"
    local options=(-q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$apt/state"
        -o Dir::State::status=/dev/null -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= -o Acquire::Retries=3)
    apt-get "${options[@]}" update > /dev/null
    (cd "$apt" && apt-get "${options[@]}" download libcmocka-dev libcmocka0 libjansson-dev libjansson4 > /dev/null)
    for package in "$apt"/*.deb; do dpkg-deb -x "$package" "$root"; done
    touch "$root/complete"
}

status=0
for name in "$@"; do
    echo "== $name"
    if [ "$name" = aarch64 ]; then arm64_libraries; fi
    if cmake --preset "$name" > "build-$name.log" 2>&1 && cmake --build "build-$name" >> "build-$name.log" 2>&1; then
        rm "build-$name.log"
        case $name in
            fuzz) CTEST_ARGS="-R ^fuzz_" scripts/test.sh "build-$name" || status=1 ;;
            # emulated, hence slow: no long tests, and none that starts another program
            aarch64) CTEST_ARGS="-E ^layers|_double$|^test_ops$|^test_trainer$" scripts/test.sh "build-$name" || status=1 ;;
            *) CTEST_ARGS="-E ^layers" scripts/test.sh "build-$name" || status=1 ;;
        esac
    else
        cat "build-$name.log"
        echo "0 passed, 1 failed"
        status=1
    fi
done
exit $status
