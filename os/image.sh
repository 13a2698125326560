#!/bin/bash
# Lay our programs and files over the base tree and make the image from it.
#   os/image.sh BASE BIN OUT VERSION REVISION PROGRAM...
set -euo pipefail
os=$(cd "$(dirname "$0")" && pwd)
base=$1 bin=$2 out=$3 version=$4 revision=$5
shift 5
uuid=d5acc000-0000-4000-8000-00000000
salt=0000000000000000000000000000000000000000000000000000000000000000
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root" "$work/boot" "$work/initramfs"
tar -xpf "$base.tar" -C "$work/root"
tar -xpf "$base.boot.tar" -C "$work/boot"

# Our layer. Modes are set here: a checkout's depend on the umask of who cloned it.
root=$work/root
(cd "$os/rootfs" && find . -mindepth 1 -print0 | sort -z) | while IFS= read -r -d '' path; do
	if [ -L "$os/rootfs/$path" ]; then
		ln -sfn "$(readlink "$os/rootfs/$path")" "$root/$path"
	elif [ -d "$os/rootfs/$path" ]; then
		mkdir -p "$root/$path"
	else
		mode=644
		[ ! -x "$os/rootfs/$path" ] || mode=755
		install -m "$mode" "$os/rootfs/$path" "$root/$path"
	fi
done
for program in "$@"; do
	strip -R .note.gnu.build-id -o "$root/usr/bin/$program" "$bin/$program"
	chmod 755 "$root/usr/bin/$program"
done
sed "s/@VERSION@/$version/" "$os/rootfs/usr/lib/os-release" >"$root/usr/lib/os-release"
"$os/check.sh" "$root"

# Root: erofs, its hash tree behind it, both in one GPT partition.
echo "os: making the root file system" >&2
mkfs.erofs -d0 --quiet -zlz4 -T"$SOURCE_DATE_EPOCH" -U "${uuid}0001" --all-root -x-1 -C65536 "$work/root.img" "$root" >/dev/null
truncate -s %4096 "$work/root.img"
size=$(stat -c %s "$work/root.img")
hash=$(veritysetup format --hash-offset="$size" --salt=$salt --uuid="${uuid}0003" --data-block-size=4096 \
	--hash-block-size=4096 --data-blocks=$((size / 4096)) "$work/root.img" "$work/root.img" | awk '/^Root hash:/ { print $3 }')
[ ${#hash} = 64 ]
truncate -s %1M "$work/root.img"
sectors=$(($(stat -c %s "$work/root.img") / 512))
rm -f "$out/rootfs.img.parted.verity"
truncate -s $(((sectors + 4096) * 512)) "$work/disk"
printf 'label: gpt\nlabel-id: %s0000\nstart=2048, size=%s, type=%s, uuid=%s0001, name=dstack-rootfs\n' $uuid $sectors \
	0FC63DAF-8483-4772-8E79-3D69D8477DE4 $uuid | sfdisk -q "$work/disk"
dd if="$work/root.img" of="$work/disk" bs=1M seek=1 conv=notrunc,sparse status=none

# Initramfs: dstack-init and its modules.
mkdir -p "$work/initramfs"/{dev,proc,sys,run,root,lib}
strip -R .note.gnu.build-id -o "$work/initramfs/init" "$bin/dstack-init"
mv "$work/boot/modules" "$work/initramfs/lib/modules"
/usr/bin/python3 "$os/cpio.py" "$work/initramfs" "$work/initramfs.cpio.gz"

# The command line is measured; one definition, in the order of upstream's, then ours: lockdown, no SysRq from the serial
# line, which is the host's, and no test of the timer's interrupt, which fails where an emulated guest waits for the
# processor (KVM and TDX guests never make it).
cmdline="console=ttyS0 init=/init panic=1 net.ifnames=0 biosdevname=0 mce=off oops=panic pci=noearly pci=nommconf"
cmdline="$cmdline random.trust_cpu=y random.trust_bootloader=n tsc=reliable no-kvmclock"
cmdline="$cmdline lockdown=confidentiality sysctl.kernel.sysrq=0 no_timer_check loglevel=4"
cmdline="$cmdline dstack.rootfs_hash=$hash dstack.rootfs_size=$size"
cat >"$work/metadata.json" <<JSON
{
  "bios": "ovmf.fd",
  "kernel": "bzImage",
  "cmdline": "$cmdline",
  "initrd": "initramfs.cpio.gz",
  "rootfs": "rootfs.img.parted.verity",
  "version": "$version",
  "git_revision": "$revision",
  "shared_ro": true,
  "is_dev": false,
  "ovmf_variant": "pre202505"
}
JSON
mv "$work/disk" "$out/rootfs.img.parted.verity"
mv "$work/boot/bzImage" "$work/boot/ovmf.fd" "$work/initramfs.cpio.gz" "$work/metadata.json" "$out/"
rm -f "$out/measurement.tdx.cbor" "$out/sha256sum.txt" "$out/digest.txt"
chmod 644 "$out"/{ovmf.fd,bzImage,initramfs.cpio.gz,metadata.json,rootfs.img.parted.verity}
"$bin/dstack" image measure "$out" >/dev/null
cd "$out"
sha256sum ovmf.fd bzImage initramfs.cpio.gz metadata.json measurement.tdx.cbor >sha256sum.txt
sha256sum sha256sum.txt | cut -c1-64 >digest.txt
echo "os: image $(cat digest.txt), root $((size / 1048576)) MB, initramfs $(stat -c %s initramfs.cpio.gz) bytes" >&2
