#!/bin/bash
# Installs what building, running and testing need, on a bare Debian 12 as root. Does nothing when all is there.
#   scripts/deps.sh [test]            install the missing ones; `test` adds what only the tests need
#   scripts/deps.sh [test] --missing  print the missing ones, change nothing
set -euo pipefail

packages=(
	# build
	gcc libc6-dev make meson ninja-build pkg-config clang-14 lld-14 libclang-rt-14-dev llvm-14 clang-format-14
	libssl-dev libsecp256k1-dev libsodium-dev libevent-dev libcurl4-openssl-dev libprotobuf-c-dev
	protobuf-c-compiler libsqlite3-dev libmnl-dev libseccomp-dev libcap-ng-dev libcryptsetup-dev libcmocka-dev
	zlib1g-dev libyaml-dev
	# guest image
	erofs-utils cryptsetup-bin fdisk kmod binutils dosfstools mtools xz-utils zstd cpio python3
	# machines and networks
	qemu-system-x86 qemu-utils swtpm swtpm-tools wireguard-go wireguard-tools iproute2 procps
	# the local stack, tests and benchmarks
	docker-registry curl openssl jq ca-certificates socat xxd haproxy
)

missing()
{
	local have
	have=$(dpkg-query -W -f '${db:Status-Abbrev}|${binary:Package}\n' 2>/dev/null | sed -n 's/^ii *|\([^:]*\).*/\1/p')
	printf '%s\n' "${packages[@]}" | grep -vxF -f <(printf '%s\n' "$have") || true
	[ -z "$tests" ] || printf '%s\n' chromium chromium-driver | grep -vxF -f <(printf '%s\n' "$have") || true
	# npm may also come with a Node.js that is not Debian's.
	[ -z "$tests" ] || command -v npm >/dev/null || echo npm
	[ -z "$tests" ] || command -v node >/dev/null || echo nodejs
}

tests=
if [ "${1:-}" = test ]; then
	tests=1
	shift
fi
need=$(missing)
if [ "${1:-}" = --missing ]; then
	printf '%s' "${need:+$need$'\n'}"
	exit 0
fi
[ -n "$need" ] || exit 0
echo "installing:" $need
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # one word a package
apt-get install -q -y --no-install-recommends -o Dpkg::Use-Pty=0 $need
# Debian starts a registry of its own on installation; ours is started by `dstack up` with its own files.
if [ -d /run/systemd/system ]; then
	systemctl disable --now docker-registry 2>/dev/null || true
fi
