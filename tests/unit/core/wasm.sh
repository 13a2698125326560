#!/bin/bash
# The core is freestanding: every source of it builds for wasm32 with clang alone, and what they need from outside is
# at most the four functions that any compiler may call. Twice from different folders gives the same bytes.
#   wasm.sh LIB-FOLDER OUT-FOLDER SOURCE...
set -euo pipefail
lib=$(cd "$1" && pwd) out=$2
shift 2
clang=$(command -v clang-14 || command -v clang)
nm=$(command -v llvm-nm-14 || command -v llvm-nm)
for pass in a b; do
	rm -rf "${out:?}/$pass"
	mkdir -p "$out/$pass"
	cp -r "$lib/." "$out/$pass/"
	mapfile -t names < <(realpath --relative-to="$lib" "$@")
	# Each object lands in the folder under its file's name; no two sources have the same.
	(cd "$out/$pass" && printf '%s\n' "${names[@]}" | xargs -P 2 -n 12 "$clang" --target=wasm32 -std=c17 -O2 -ffreestanding \
		-mbulk-memory -Wall -Wextra -Werror -Wno-missing-field-initializers -I. -c)
	[ "$(find "$out/$pass" -maxdepth 1 -name '*.o' | wc -l)" -eq $# ]
done
for object in "$out"/a/*.o; do
	cmp "$object" "$out/b/$(basename "$object")"
done
needs=$(comm -13 <("$nm" --defined-only "$out"/a/*.o | awk 'NF==3{print $3}' | sort -u) \
	<("$nm" --undefined-only "$out"/a/*.o | awk '$1=="U"{print $2}' | sort -u) |
	grep -vxE 'mem(cpy|set|move|cmp)|__(stack_pointer|linear_memory|indirect_function_table)' || true)
if [ -n "$needs" ]; then
	echo "not ok - the core needs from outside: $needs"
	exit 1
fi
echo "ok - $# sources build for wasm32 and need nothing"
