#!/usr/bin/env bash
# Installs to a folder of its own, then builds a small program against what was installed, with the shared and with the
# static library, and runs it: in C11, and the header in C++.
#   test_install.sh CMAKE BUILD_DIR CC CXX VERSION
set -euo pipefail
cmake=$1 build=$2 cc=$3 cxx=$4 version=$5
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
prefix=$dir/prefix
strict=(-Wall -Wextra -Wpedantic -Werror)
fail() { echo "test_install: $*" >&2; exit 1; }

"$cmake" --install "$build" --prefix "$prefix" > "$dir/log" || { cat "$dir/log"; fail "cmake --install"; }
lib=$(dirname "$(find "$prefix" -name libisolario.so)")
export PKG_CONFIG_PATH=$lib/pkgconfig
[ "$(pkg-config --modversion isolario)" = "$version" ] || fail "pkg-config: not version $version"
[ "$(readlink "$lib/libisolario.so.0")" = "libisolario.so.$version" ] || fail "libisolario.so.0 does not lead to $version"
"$prefix/bin/isolario" --version | grep -qF "$version" || fail "isolario --version does not say $version"

cat > "$dir/use.c" << 'C'
#include <isolario.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    iso_env *env = iso_env_new(1);
    iso_options *o = iso_options_new();
    iso_error err;
    int bad = !env || !o || iso_options_set(o, "no_such_option", "1", &err) != ISO_EUSAGE || !strstr(err.msg, "no_such_option");
    iso_options_free(o);
    iso_env_free(env);
    puts(iso_version_long());
    return bad;
}
C
cp "$dir/use.c" "$dir/use.cpp"
read -ra flags <<< "$(pkg-config --cflags isolario)"
read -ra shared <<< "$(pkg-config --libs isolario)"
read -ra static <<< "$(pkg-config --static --libs isolario)"
static=("${static[@]/-lisolario/-l:libisolario.a}")

"$cc" -std=c11 "${strict[@]}" "${flags[@]}" "$dir/use.c" -o "$dir/shared" "${shared[@]}"
"$cc" -std=c11 "${strict[@]}" "${flags[@]}" "$dir/use.c" -o "$dir/static" "${static[@]}"
"$cxx" -std=c++11 "${strict[@]}" "${flags[@]}" "$dir/use.cpp" -o "$dir/plusplus" "${shared[@]}"

needs() { readelf -d "$1" | grep -q 'NEEDED.*libisolario\.so\.0'; }
needs "$dir/shared" || fail "the shared consumer does not need libisolario.so.0"
! needs "$dir/static" || fail "the static consumer needs libisolario.so.0"
for program in shared static plusplus; do
    LD_LIBRARY_PATH=$lib "$dir/$program" | grep -qF "$version" || fail "the $program consumer failed"
done
echo "installed, linked (shared, static, C++) and run: isolario $version"
