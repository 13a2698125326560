#!/bin/bash
# Build the whole image twice from the lock, in two folders, from nothing but the packages, and compare every byte.
#   os/repro.sh [BIN [CACHE]]     the packages already in CACHE are used, not downloaded again
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-build/bin} cache=$(realpath "${2:-.cache/os}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for n in 1 2; do
	mkdir -p "$work/cache$n"
	[ ! -d "$cache/debs" ] || cp -r --reflink=auto "$cache/debs" "$work/cache$n/debs"
	[ ! -f "$cache/lock" ] || cp "$cache/lock" "$work/cache$n/lock"
	# Another umask, folder and locale must not show.
	(umask 00$((n * 2))7 && TZ=Asia/Tokyo os/build.sh --bin "$bin" --out "$work/out$n" --cache "$work/cache$n")
done
for file in $(ls "$work/out1"); do
	cmp "$work/out1/$file" "$work/out2/$file" && echo "identical: $file $(sha256sum <"$work/out1/$file" | cut -c1-64)"
done
