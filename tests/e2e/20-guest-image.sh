#!/bin/bash
# The guest image by itself: same bytes twice, the lock holds, and dstack-init refuses what does not match.
. "$(dirname "$0")/lib.sh"
image=$PWD/.cache/image cache=$PWD/.cache/os
[ -f "$image/digest.txt" ] || scripts/image.sh >&2 || { not_ok "the image is built"; exit 1; }

# Built again from the same base tree, every file must be the same.
same_again() {
	local base
	base=$(find "$cache/" -maxdepth 1 -name 'base-*.tar' ! -name '*.boot.tar' | head -1)
	mkdir -p "$work/again"
	LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1700000000 os/image.sh "${base%.tar}" "$PWD/build/bin" "$work/again" \
		"$(jq -r .version "$image/metadata.json")" "$(jq -r .git_revision "$image/metadata.json")" \
		dstack-guest-agent dstack-setup &&
		for file in sha256sum.txt digest.txt rootfs.img.parted.verity; do cmp "$work/again/$file" "$image/$file" || return 1; done
}
check "initramfs, verity root, metadata and digest are bit-identical when built again" same_again
check "sha256sum.txt holds" bash -c "cd '$image' && sha256sum -c --quiet sha256sum.txt"
check "digest.txt is the hash of sha256sum.txt" \
	[ "$(sha256sum "$image/sha256sum.txt" | cut -c1-64)" = "$(cat "$image/digest.txt")" ]
check "every package has a line with a hash in the lock" \
	bash -c '! grep -vE "^[a-z0-9.+-]+ [^ ]+ (amd64|all) [0-9a-f]{64}$" os/lock'

# What a production root must not have; read from the image itself.
size=$(sed 's/.*dstack.rootfs_size=\([0-9]*\).*/\1/' <(jq -r .cmdline "$image/metadata.json"))
dd if="$image/rootfs.img.parted.verity" of="$work/erofs" bs=1M skip=1 count="$size" iflag=count_bytes status=none
check "the root file system is sound and can be taken apart" fsck.erofs --extract="$work/root" "$work/erofs"
nothing() { ! "$@" | grep .; }
check "no file has a set-id bit" nothing find "$work/root" -perm /6000
check "no file but temporary folders is writable for all" nothing find "$work/root" -not -type l -perm -o+w -not -name tmp
check "no login, remote shell, package manager or interpreter that scripts of the host could use" nothing find "$work/root" \
	-name getty -o -name agetty -o -name login -o -name sshd -o -name 'qemu-ga*' -o -name su -o -name sudo -o -name dpkg \
	-o -name 'apt*' -o -name 'perl*' -o -name 'python*' -o -name systemd
check "every program finds its libraries" os/check.sh "$work/root"

# A lock that names what no archive has.
cp -r os "$work/os"
sed -i 's/^bash .*/bash 0.0-none amd64 '"$(printf '0%.0s' {1..64})"'/' "$work/os/lock"
mkdir -p "$work/cache/apt"
ln -s "$cache/debs" "$work/cache/debs"
[ ! -d "$cache/apt/lists" ] || cp -r "$cache/apt/lists" "$work/cache/apt/"
refused "a lock that the archive has moved past, with --locked" "no longer has" "$work/os/lock.sh" "$work/cache" --locked

# dstack-init without firmware and TPM: what it refuses it refuses before anything of the root runs.
boot() # boot CMDLINE [QEMU ARGUMENT…]: prints the console
{
	local cmdline=$1
	shift
	timeout 60 qemu-system-x86_64 -accel tcg -cpu max -M q35 -m 512 -smp 1 -nographic -nodefaults -serial stdio -no-reboot \
		-kernel "$image/bzImage" -initrd "$image/initramfs.cpio.gz" -append "$cmdline" "$@" </dev/null 2>&1
}
says() # says TEXT WANTED CMDLINE [QEMU ARGUMENT…]
{
	local text=$1 wanted=$2
	shift 2
	boot "$@" >"$work/console"
	if grep -qF "$wanted" "$work/console" && ! grep -q 'dstack-boot' "$work/console"; then
		ok "$text"
	else
		not_ok "$text"
		tail -n 12 "$work/console" | sed 's/^/  # /'
	fi
}
disk() { echo "file=$1,format=raw,if=virtio,readonly=on"; }
cmdline=$(jq -r .cmdline "$image/metadata.json")
root=$image/rootfs.img.parted.verity

says "no root disk: init.root" "dstack-init: init.root: no disk has the partition dstack-rootfs" "$cmdline"
says "no root hash: init.cmdline" "dstack-init: init.cmdline: the command line has no dstack.rootfs_hash" \
	"$(sed "s/dstack.rootfs_hash=[0-9a-f]*//" <<<"$cmdline")" -drive "$(disk "$root")"
says "a root hash given twice: init.cmdline" "dstack-init: init.cmdline: dstack.rootfs_hash is given twice" \
	"$cmdline dstack.rootfs_hash=$(printf '0%.0s' {1..64})" -drive "$(disk "$root")"
says "another root hash: the kernel stops" "dm-verity device corrupted" \
	"${cmdline/rootfs_hash=?/rootfs_hash=$(grep -q 'rootfs_hash=0' <<<"$cmdline" && echo 1 || echo 0)}" -drive "$(disk "$root")"
flip() # flip FILE OFFSET: change one byte
{
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
cp "$root" "$work/flipped"
flip "$work/flipped" $((1048576 + 1024 + 12)) # in the file system's superblock, which every boot reads
says "a flipped byte in the root: the kernel stops" "dm-verity device corrupted" "$cmdline" -drive "$(disk "$work/flipped")"
cp "$root" "$work/flipped"
flip "$work/flipped" $((1048576 + size + 8)) # version of the verity superblock
says "a changed verity superblock: init.verity" "dstack-init: init.verity:" "$cmdline" -drive "$(disk "$work/flipped")"
