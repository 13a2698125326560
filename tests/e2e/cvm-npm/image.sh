#!/bin/bash
# The image of 55-sdk.sh: this machine's node with the libraries that it needs, app.js, and of the npm packages the files
# that node loads for it, as they were published: unpacking the other thousands costs an emulated guest half a minute.
#   image.sh NODE_MODULES OUT REGISTRY   prints the digest
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -m 755 -p "$root"/{app/node_modules,tmp,usr/bin}
node=$(node -p process.execPath)
cp "$node" "$root/usr/bin/node"
strip "$root/usr/bin/node"
ldd "$node" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\s*\(\/[^ ]*ld-linux[^ ]*\).*/\1/p' | while read -r library; do
	mkdir -p "$root$(dirname "$library")"
	cp -L "$library" "$root$library"
done
# Debian's node keeps some of its own modules outside of itself.
find "$root" -name 'node' -o -name 'libnode.so*' | xargs grep -hao '/usr/share/nodejs/[A-Za-z0-9_./-]*\.js' | sort -u | while read -r module; do
	[ ! -f "$module" ] || { mkdir -p "$root$(dirname "$module")" && cp -L "$module" "$root$module"; }
done || true
cp "$here/app.js" "$root/app/"
modules=$(realpath "$1")
(cd "$modules/.." && node -e '
	for (const [, name] of require("fs").readFileSync(process.argv[1], "utf8").matchAll(/require\(.([@a-z][^)]*).\)/g)) require(name);
	console.log(Object.keys(require.cache).join("\n"))' "$here/app.js") | grep -F "$modules/" | while read -r file; do
	echo "${file#"$modules"/}"
	while file=$(dirname "$file") && [ "$file" != "$modules" ]; do
		[ ! -f "$file/package.json" ] || echo "${file#"$modules"/}/package.json"
	done
done | sort -u | tar -C "$modules" -T - -c | tar -C "$root/app/node_modules" -x
find "$root" -type d -exec chmod 755 {} +
chmod -R a+rX "$root"
"$here/../../../scripts/oci.sh" "$root" "$2" '{"Entrypoint":["/usr/bin/node","/app/app.js"],"WorkingDir":"/app"}' "$3" dstack/sdk
