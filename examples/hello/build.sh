#!/bin/bash
# Build the hello image from scratch (one static program, one layer) as an OCI layout, and the compose file that
# names it by digest. Same compiler and libraries give the same digest.
#   build.sh OUT            writes OUT/oci and OUT/compose.yaml
#   build.sh OUT REGISTRY   pushes to REGISTRY (http://host:port) as well
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUT [REGISTRY]} registry=${2:-}
mkdir -p "$out"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -m 755 "$root/data"
gcc -O2 -Wall -Wextra -static -ffile-prefix-map="$here"=. -Wl,--build-id=none -o "$root/hello" \
	"$here/hello.c" "$here/agent.c" -lssl -lcrypto 2> >(grep -v 'statically linked applications' | grep -v 'in function' >&2)
strip "$root/hello"
digest=$("$here/../../scripts/oci.sh" "$root" "$out" '{"Entrypoint":["/hello"],"Volumes":{"/data":{}}}' ${registry:+"$registry" dstack/hello})
sed "s|@DIGEST@|$digest|" "$here/compose.yaml.in" >"$out/compose.yaml"
