#!/bin/bash
# The KMS as a container image: the program, the libraries it is linked with, the system's CA certificates. For a KMS
# that runs in a CVM (`dstack kms deploy`). The same build and the same libraries give the same digest.
#   build.sh OUT            writes OUT/oci, prints the reference docker.io/dstack/kms@sha256:…
#   build.sh OUT REGISTRY   pushes to REGISTRY (http://host:port) as well
#   VERSION=text            what /etc/dstack-version of the image says; another one is another image
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:?usage: build.sh OUT [REGISTRY]} registry=${2:-}
program=$here/build/bin/dstack-kms
mkdir -p "$out"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{usr/bin,usr/lib,etc/ssl/certs,kms,tmp}
ln -s usr/lib "$root/lib"
ln -s usr/lib "$root/lib64"
install -m 755 "$program" "$root/usr/bin/dstack-kms"
strip "$root/usr/bin/dstack-kms"
ldd "$program" | grep -o '/[^ ]*' | sort -u | while read -r library; do
	install -m 755 "$(realpath "$library")" "$root/usr/lib/${library##*/}"
done
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
chmod 1777 "$root/tmp"
chmod 700 "$root/kms"
echo "${VERSION:-$("$program" --version)}" >"$root/etc/dstack-version"
echo 'root:x:0:0:root:/:/' >"$root/etc/passwd"

digest=$("$here/scripts/oci.sh" "$root" "$out" \
	'{"Entrypoint":["/usr/bin/dstack-kms","-c","/etc/kms.toml"],"Env":["LD_LIBRARY_PATH=/usr/lib"]}' ${registry:+"$registry" dstack/kms})
echo "docker.io/dstack/kms@$digest"
