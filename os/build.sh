#!/bin/bash
# Build the guest image: kernel, firmware, initramfs, verity root, metadata and its digest (docs/os.md).
#   os/build.sh --bin DIR --out DIR --cache DIR [--locked] [--version V] [--revision TEXT]
#     --bin       our programs as built (dstack-init, dstack-setup, dstack-guest-agent, dstack)
#     --cache     downloaded packages and the base tree; a rebuild from it needs no network
#     --locked    refuse when the archive no longer has what os/lock names
# Runs as root on Debian 12. The same lock, recipe and programs give the same bytes.
set -euo pipefail
os=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C SOURCE_DATE_EPOCH=1700000000 TZ=UTC
umask 022

bin='' out='' cache='' locked='' revision='' version=''
while [ $# -gt 0 ]; do
	case $1 in
	--bin) bin=$(realpath "$2") && shift ;;
	--out) mkdir -p "$2" && out=$(realpath "$2") && shift ;;
	--cache) mkdir -p "$2" && cache=$(realpath "$2") && shift ;;
	--version) version=$2 && shift ;;
	--revision) revision=$2 && shift ;;
	--locked) locked=--locked ;;
	*) echo "os/build.sh: unknown argument $1" >&2 && exit 2 ;;
	esac
	shift
done
[ -n "$bin" ] && [ -n "$out" ] && [ -n "$cache" ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "os/build.sh: the file owners of the image can only be set as root" >&2; exit 2; }
: "${version:=$(sed -n "s/.*version: '\([0-9.]*\)', license.*/\1/p" "$os/../meson.build")}"

programs="dstack-guest-agent dstack-setup"
for program in dstack-init dstack $programs; do
	[ -x "$bin/$program" ] || { echo "os/build.sh: $bin/$program is not there: build first" >&2; exit 1; }
done
exec 9>"$cache/.busy"
flock -n 9 || { echo "os: waiting for another image build"; flock 9; }

lock=$("$os/lock.sh" "$cache" $locked)
recipe=$(cat "$lock" "$os/packages" "$os/modules" "$os/kernel-config" "$os/tree.sh" | sha256sum | cut -c1-24)
inputs=$({
	echo "$recipe $version $revision"
	cd "$os" && cat build.sh image.sh check.sh cpio.py && find rootfs \( -type f -o -type l \) -printf '%p %m %l\n' | sort
	find rootfs -type f -print0 | sort -z | xargs -0 sha256sum
	cd "$bin" && sha256sum dstack-init $programs
} | sha256sum | cut -c1-24)
# Nothing to do? `dstack` itself is not an input: what it measures is.
up_to_date() {
	[ "$(cat "$out/.inputs" 2>/dev/null)" = "$inputs" ] && (cd "$out" && sha256sum -c --quiet sha256sum.txt) || return 1
	local again=$out/.measured
	mkdir -p "$again" && cp "$out"/{metadata.json,ovmf.fd,bzImage,initramfs.cpio.gz} "$again/" &&
		"$bin/dstack" image measure "$again" && cmp "$again/measurement.tdx.cbor" "$out/measurement.tdx.cbor" &&
		rm -rf "$again"
}
if up_to_date >/dev/null 2>&1; then
	echo "os: the image is up to date, $(cat "$out/digest.txt")"
	exit 0
fi
rm -rf "$out/.inputs" "$out/.measured"

base=$cache/base-$recipe
[ -f "$base.tar" ] && [ -f "$base.boot.tar" ] || "$os/tree.sh" "$lock" "$cache" "$base"
"$os/image.sh" "$base" "$bin" "$out" "$version" "$revision" $programs
cp "$lock" "$out/packages.lock"
echo "$inputs" >"$out/.inputs"
# Base trees of older recipes only cost space.
find "$cache" -maxdepth 1 -name 'base-*' ! -name "base-$recipe*" -exec rm -rf {} +
