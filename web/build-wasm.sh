#!/bin/bash
# The core and its exports as one WebAssembly module: clang and wasm-ld alone, nothing linked in, no imports.
#   build-wasm.sh LIB-FOLDER OUT.wasm SOURCE...
# Writes OUT.wasm.d too, for ninja. The driver of clang would run wasm-opt where that is installed, so compiling and
# linking are two steps and the bytes depend on nothing else.
set -euo pipefail
lib=$1 out=$2
shift 2
clang=$(command -v clang-14 || command -v clang)
ld=$(command -v wasm-ld-14 || command -v wasm-ld)
cache=$(command -v ccache || true)
objects=$out.p
rm -rf "$objects"
mkdir -p "$objects"
compile()
{
	local source=$1 lib=$2 objects=$3 name
	name=$(basename "$source" .c)
	shift 3
	[ ! -e "$objects/$name.o" ] || { echo "two sources are called $name.c" >&2; exit 1; }
	# Each file by itself, from its own folder's view, so that no path gets into the object.
	"$@" --target=wasm32 -std=c17 -Oz -flto -ffreestanding -fvisibility=hidden -mbulk-memory -Wall -Wextra -Werror \
		-Wno-missing-field-initializers -I"$lib" -MD -MF "$objects/$name.d" -c "$source" -o "$objects/$name.o"
}
export -f compile
# shellcheck disable=SC2086 # ccache may be absent
printf '%s\n' "$@" | xargs -P 2 -I{} bash -euc 'compile "$@"' _ {} "$lib" "$objects" $cache "$clang"
mapfile -t sorted < <(printf '%s\n' "$objects"/*.o | LC_ALL=C sort)
"$ld" --no-entry --strip-all --gc-sections -O2 --lto-O2 -z stack-size=131072 \
	--initial-memory=20971520 --max-memory=20971520 "${sorted[@]}" -o "$out"
{
	printf '%s:' "$(basename "$out")"
	cat "$objects"/*.d | sed 's/^[^:]*://; s/\\$//' | tr -s ' \n' '\n\n' | sort -u | sed '/^$/d; s/^/ /' | tr -d '\n'
	echo
} >"$out.d"
