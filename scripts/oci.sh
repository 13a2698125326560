#!/bin/bash
# A container image of one layer, from a folder, as an OCI layout. The same folder and compiler give the same digest.
#   oci.sh ROOT OUT CONFIG                   writes OUT/oci, prints the digest; CONFIG: JSON such as {"Entrypoint":["/app"]}
#   oci.sh ROOT OUT CONFIG REGISTRY NAME     pushes it to REGISTRY (http://host:port) as NAME, too
set -euo pipefail
root=${1:?usage: oci.sh ROOT OUT CONFIG [REGISTRY NAME]} out=$2 settings=$3 registry=${4:-} name=${5:-}
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

(cd "$root" && printf '%s\0' *) | tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu \
	-C "$root" -cf "$out/layer.tar" --null -T -
layer=$(keep "$out/layer.tar")
printf '{"architecture":"amd64","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
	"$settings" "$layer" >"$out/config.json"
config_size=$(stat -c %s "$out/config.json")
config=$(keep "$out/config.json")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%s}]}' \
	"$config" "$config_size" "$layer" "$(stat -c %s "$blobs/$layer")" >"$out/manifest.json"
manifest_size=$(stat -c %s "$out/manifest.json")
manifest=$(keep "$out/manifest.json")
printf '{"imageLayoutVersion":"1.0.0"}' >"$out/oci/oci-layout"
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s}]}' \
	"$manifest" "$manifest_size" >"$out/oci/index.json"
echo "sha256:$manifest"

[ -n "$registry" ] || exit 0
api=$registry/v2/$name
for digest in "$layer" "$config"; do
	curl -sf --max-time 10 -o /dev/null -I "$api/blobs/sha256:$digest" && continue
	where=$(curl -sf --max-time 10 -o /dev/null -D - -X POST "$api/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
	case $where in *\?*) where="$where&" ;; *) where="$where?" ;; esac
	curl -sf --max-time 120 -o /dev/null -T "$blobs/$digest" -H 'Content-Type: application/octet-stream' "${where}digest=sha256:$digest"
done
curl -sf --max-time 10 -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
	--data-binary "@$blobs/$manifest" "$api/manifests/sha256:$manifest"
