#!/bin/bash
# The page: one file of a bounded size, and in node and in a browser the command line's texts, byte for byte.
. "$(dirname "$0")/lib.sh"
page=$PWD/build/web/verify.html wasm=$PWD/build/web/verify.wasm
tests=$PWD/tests/e2e/page

check "the page is one file of at most 120 KB" test "$(stat -c %s "$page")" -le 122880
nothing_outside() { ! grep -oE '(src|href|action)="[^"]*"|@import|[ :]url\(|https?://[a-z.]+' "$page" | grep -vxF 'href="data:,"'; }
check "it names nothing to load" nothing_outside
no_imports() { node -e 'process.exit(WebAssembly.Module.imports(new WebAssembly.Module(require("fs").readFileSync(process.argv[1]))).length)' "$wasm"; }
check "the module has no imports" no_imports
twice()
{
	local d
	for d in a b; do
		mkdir -p "$work/$d" && cp -r lib web "$work/$d/"
		(cd "$work/$d" && mapfile -t sources < <(find lib/core -name '*.c') &&
			web/build-wasm.sh lib verify.wasm "${sources[@]}" lib/crypto/intel_root.c web/wasm.c &&
			web/build.py --wasm verify.wasm --out verify.html web/page.html web/page.css web/unpack.js web/glue.js web/page.js) || return 1
	done
	cmp "$work/a/verify.wasm" "$work/b/verify.wasm" && cmp "$work/a/verify.html" "$page" && cmp "$work/b/verify.html" "$page"
}
check "built in two other folders it has the same bytes" twice
emitted() { dstack verify --emit-page | cmp - "$page"; }
check "the command line writes the same bytes" emitted
mkdir "$work/pki"
export PAGE_PKI=$work/pki
dstack-softtee pki --dir "$work/pki" >/dev/null 2>&1
check "the development page is another file" web/build.py --wasm "$wasm" --development-root "$work/pki/root.der" --out "$work/verify-dev.html" \
	web/page.html web/page.css web/unpack.js web/glue.js web/page.js

timeout 300 node "$tests/page.mjs" "$wasm" web/glue.js "$page" "$work/verify-dev.html" >"$work/lines" 2>&1
case $? in 0 | 1) ;; *) echo "not ok - the page's tests ended early" >>"$work/lines" ;; esac
for part in node chromium; do
	grep -q "^ok - $part" "$work/lines" || echo "not ok - nothing ran in $part" >>"$work/lines"
done
cat "$work/lines"
failures=$((failures + $(grep -c '^not ok' "$work/lines" || true)))
