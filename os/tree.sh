#!/bin/bash
# Take the locked packages apart into the base of the image, everything but our own programs and files.
#   os/tree.sh LOCK CACHE BASE   writes BASE.tar (root tree) and BASE.boot.tar (kernel, firmware, initramfs modules)
# No maintainer script runs: what they would do for the few packages here is below, and so the tree depends on
# nothing but the packages' bytes.
set -euo pipefail
os=$(cd "$(dirname "$0")" && pwd)
lock=$1 debs=$2/debs base=$3
work=$(mktemp -d "$base.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root kernel=$work/kernel boot=$work/boot
mkdir -p "$root" "$kernel" "$boot/modules"

# usr/share/gcc and the like are of use to people and debuggers, not to a machine that nobody logs in to.
unpack() {
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --no-same-permissions -p --keep-directory-symlink \
		--exclude='./usr/share/doc*' --exclude='./usr/share/man' --exclude='./usr/share/info' \
		--exclude='./usr/share/locale' --exclude='./usr/share/lintian' --exclude='./usr/share/bash-completion' \
		--exclude='./usr/share/zsh' --exclude='./usr/share/fish' --exclude='./usr/share/gdb' --exclude='./usr/share/gcc' \
		--exclude='./usr/share/bug' --exclude='./usr/share/common-licenses' --exclude='./usr/lib/systemd' \
		--exclude='./etc/init.d' --exclude='./etc/cron*' --exclude='./etc/logrotate.d' --exclude='./etc/default'
}

echo "os: taking $(grep -c '^[a-z]' "$lock") packages apart" >&2
grep -v '^#' "$lock" | sort -k1,1 | awk '{ print ($1 == "base-files" ? 0 : 1), $0 }' | sort -s -k1,1n | cut -d' ' -f2- |
while read -r name version arch _; do
	deb=$debs/${name}_${version//:/%3a}_$arch.deb
	case $name in
	linux-image-*) unpack "$deb" "$kernel" ;;
	ovmf) dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/share/ovmf/OVMF.fd >"$boot/ovmf.fd" ;;
	*) unpack "$deb" "$root" ;;
	esac
done

# The kernel, and of its modules those we name with what they need; uncompressed, which saves seconds in emulation.
cp "$kernel"/boot/vmlinuz-* "$boot/bzImage"
while read -r symbol allowed; do
	grep -q "^CONFIG_$symbol=[$allowed]$" "$kernel"/boot/config-* ||
		{ echo "os: the kernel lacks CONFIG_$symbol=${allowed/ym/y or m}" >&2 && exit 1; }
done < <(grep '^[A-Z]' "$os/kernel-config")
version=$(basename "$kernel"/usr/lib/modules/*)
depmod -b "$kernel/usr" "$version" 2>/dev/null || depmod -b "$kernel" "$version"
[ -e "$kernel/lib" ] || ln -s usr/lib "$kernel/lib"
needed() { modprobe -d "$kernel" -S "$version" --show-depends --ignore-install "$1" | sed -n 's/^insmod \([^ ]*\).*/\1/p'; }
add_module() { # FILE DIRECTORY
	local name
	name=$(basename "$1" .xz)
	[ -f "$2/${name//-/_}" ] || case $1 in
	*.xz) xz -dc "$1" >"$2/${name//-/_}" ;;
	*) cp "$1" "$2/${name//-/_}" ;;
	esac
}
modules=$root/usr/lib/modules/$version
mkdir -p "$modules/kernel"
early=1
while IFS= read -r line; do
	[ -n "$line" ] || early=''
	line=${line%%#*}
	read -r name flag <<<"$line"
	[ -n "$name" ] || continue
	for file in $(needed "$name"); do
		add_module "$file" "$modules/kernel"
		[ -n "$early" ] || continue
		add_module "$file" "$boot/modules"
		ko=$(basename "$file" .xz)
		ko=${ko//-/_}
		grep -q "^${ko%.ko}\b" "$boot/modules/order" 2>/dev/null || echo "${ko%.ko}${flag:+ $flag}" >>"$boot/modules/order"
	done
done < <(sed '/^#/{/./d}' "$os/modules" | sed '1,/./!b')
cp "$kernel/usr/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$modules/"
depmod -b "$root" "$version"

# What the packages' scripts would have done.
for applet in $("$root/usr/bin/busybox" --list); do
	case $applet in
	busybox | dpkg | dpkg-deb | rpm | rpm2cpio | init | linuxrc | halt | poweroff | reboot | getty | login | sulogin | su | \
		passwd | telnetd | httpd | ftpget | ftpput | tftp | crond | crontab | vi) continue ;;
	esac
	[ -e "$root/usr/bin/$applet" ] || [ -e "$root/usr/sbin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
done
mkdir -p "$root/etc/ssl/certs" "$root/usr/lib/ssl"
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
ln -sfn /etc/ssl/certs "$root/usr/lib/ssl/certs"
ln -sfn /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"
ln -sfn /proc/self/mounts "$root/etc/mtab"
mkdir -p "$root"/{dev,proc,sys,run,tmp,root,home,opt,mnt,dstack,var/volatile,var/cache,var/lib,var/log,var/spool,var/tmp}
chmod 700 "$root/root"
rm -rf "$root/var/run" "$root/var/lock"
ln -sfn /run "$root/var/run"
ln -sfn /run/lock "$root/var/lock"
ln -sfn dstack "$root/tapp"
(cd "$root" && rm -rf usr/share/{ca-certificates,runit,applications,pixmaps,icons,readline,base-files,locales,perl5} \
	usr/share/{polkit-1,initramfs-tools,debianutils,menu,misc,glib-2.0,dict,libgcrypt20} usr/games usr/include usr/src \
	etc/{runit,service,sv,apt,dpkg,kernel,motd,skel,cni,update-motd.d,ca-certificates,profile.d} etc/rc*.d etc/issue* \
	usr/lib/{runit,udev,tmpfiles.d,sysusers.d} usr/libexec/e2fsprogs usr/sbin/{e2scrub*,mk-runscript,update-*} \
	usr/libexec/podman/{podman-testing,quadlet,rootlessport} usr/lib/podman/netavark-dhcp-proxy-client \
	usr/bin/podman-remote usr/lib/x86_64-linux-gnu/*.a usr/lib/x86_64-linux-gnu/{gconv,audit,gio} \
	var/lib/dpkg var/cache/* var/backups boot etc/containers/registries.conf.d/* etc/containers/systemd)
find "$root" -perm /6000 -exec chmod a-s {} + # nobody here is anybody but root, outside containers
ldconfig -r "$root" -X
rm -rf "$root/var/cache/ldconfig"

tar --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner -C "$root" -cf "$base.tar.new" .
tar --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner -C "$boot" -cf "$base.boot.tar" .
mv "$base.tar.new" "$base.tar"
echo "os: base tree of $(du -sm "$root" | cut -f1) MB" >&2
