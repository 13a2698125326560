#!/bin/bash
# Build the hello image from scratch (one static program, one layer) as an OCI layout, and the compose file that
# names it by digest. Same compiler and libraries give the same digest.
#   build.sh OUT            writes OUT/oci and OUT/compose.yaml
#   build.sh OUT REGISTRY   pushes to REGISTRY (http://host:port) as well
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUT [REGISTRY]} registry=${2:-}
blobs=$out/oci/blobs/sha256
mkdir -p "$blobs"

sum() { sha256sum "$1" | cut -d' ' -f1; }
keep() # keep FILE: move it among the blobs, print its digest
{
	local digest
	digest=$(sum "$1")
	mv "$1" "$blobs/$digest"
	echo "$digest"
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -m 755 "$root/data"
gcc -O2 -Wall -Wextra -static -ffile-prefix-map="$here"=. -Wl,--build-id=none -o "$root/hello" \
	"$here/hello.c" "$here/agent.c" -lssl -lcrypto 2> >(grep -v 'statically linked applications' | grep -v 'in function' >&2)
strip "$root/hello"
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar -C "$root" -cf "$out/layer.tar" data hello
layer=$(keep "$out/layer.tar")

printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/hello"],"Volumes":{"/data":{}}},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
	"$layer" >"$out/config.json"
config_size=$(stat -c %s "$out/config.json")
config=$(keep "$out/config.json")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%s}]}' \
	"$config" "$config_size" "$layer" "$(stat -c %s "$blobs/$layer")" >"$out/manifest.json"
manifest_size=$(stat -c %s "$out/manifest.json")
manifest=$(keep "$out/manifest.json")
printf '{"imageLayoutVersion":"1.0.0"}' >"$out/oci/oci-layout"
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s}]}' \
	"$manifest" "$manifest_size" >"$out/oci/index.json"
sed "s|@DIGEST@|sha256:$manifest|" "$here/compose.yaml.in" >"$out/compose.yaml"

[ -n "$registry" ] || exit 0
api=$registry/v2/dstack/hello
for digest in "$layer" "$config"; do
	curl -sf --max-time 10 -o /dev/null -I "$api/blobs/sha256:$digest" && continue
	where=$(curl -sf --max-time 10 -o /dev/null -D - -X POST "$api/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
	case $where in *\?*) where="$where&" ;; *) where="$where?" ;; esac
	curl -sf --max-time 60 -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' \
		--data-binary "@$blobs/$digest" "${where}digest=sha256:$digest"
done
curl -sf --max-time 10 -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
	--data-binary "@$blobs/$manifest" "$api/manifests/sha256:$manifest"
