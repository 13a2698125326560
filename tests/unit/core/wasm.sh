#!/bin/bash
# The core is freestanding: all of it links to a WebAssembly module with clang and wasm-ld alone, the module imports
# nothing, and from two different folders it has the same bytes.
#   wasm.sh TREE OUT-FOLDER
set -euo pipefail
tree=$1 out=$2
readobj=$(command -v llvm-readobj-14 || command -v llvm-readobj)
rm -rf "$out"
for pass in a b/deeper; do
	mkdir -p "$out/$pass"
	cp -r "$tree/lib" "$tree/web" "$out/$pass/"
	(cd "$out/$pass" && mapfile -t sources < <(find lib/core -name '*.c') &&
		web/build-wasm.sh lib core.wasm "${sources[@]}" lib/crypto/intel_root.c web/wasm.c)
done
cmp "$out/a/core.wasm" "$out/b/deeper/core.wasm"
"$readobj" --sections "$out/a/core.wasm" >"$out/sections"
grep -q 'Type: EXPORT' "$out/sections"
if grep -q 'Type: IMPORT' "$out/sections"; then
	echo "not ok - the module imports something"
	exit 1
fi
echo "ok - $(find "$tree/lib/core" -name '*.c' | wc -l) sources, $(stat -c %s "$out/a/core.wasm") bytes, no imports"
