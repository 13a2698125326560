#!/bin/bash
# Build everything and put the programs into BUILD/bin.
#   scripts/build.sh [BUILD]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}

[ -f "$build/build.ninja" ] || meson setup "$build" --buildtype=debugoptimized >"/dev/null"
ninja -C "$build" ${NINJAFLAGS:-}
mkdir -p "$build/bin"
find "$build" -path "$build/bin" -prune -o -path '*.p' -prune -o -type f -perm -u+x -name 'dstack*' -print |
while read -r program; do
	cmp -s "$program" "$build/bin/${program##*/}" || install -m 755 "$program" "$build/bin/"
done
