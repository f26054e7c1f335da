#!/usr/bin/env bash
# Installs the Debian packages of the named sections of packages.txt, those that are missing only.
#   scripts/packages.sh build test
# SKIP_PACKAGES=1 leaves the system alone: for machines where the libraries come from elsewhere.
set -euo pipefail
list=$(dirname "$0")/packages.txt

[ "${SKIP_PACKAGES:-}" != 1 ] || exit 0
if ! command -v dpkg-query > /dev/null; then
    echo "packages: not a Debian system, nothing installed; what is needed stands in scripts/packages.txt" >&2
    exit 0
fi

missing=()
for section in "$@"; do
    if ! grep -qx "\[$section\]" "$list"; then
        echo "packages: no section [$section] in $list" >&2
        exit 1
    fi
    for package in $(awk -v wanted="[$section]" '/^\[/ { on = $0 == wanted; next } on && !/^#/' "$list"); do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
        [ "$status" = installed ] || missing+=("$package")
    done
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo > /dev/null; then
        echo "packages: missing: ${missing[*]}" >&2
        echo "packages: you are not root and there is no sudo; as root, run:  apt-get install ${missing[*]}" >&2
        echo "packages: or set SKIP_PACKAGES=1 if the libraries come from elsewhere" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "packages: installing ${missing[*]}" >&2
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
"${apt[@]}" update < /dev/null > /dev/null || echo "packages: apt-get update failed; trying with the package lists that are there" >&2
"${apt[@]}" install --no-install-recommends "${missing[@]}" < /dev/null > /dev/null
