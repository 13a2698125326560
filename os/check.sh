#!/bin/bash
# Refuse a root tree in which a program or library misses a shared library or an interpreter.
#   os/check.sh ROOT
set -euo pipefail
root=$1
have=$(find "$root/usr/lib" -name '*.so*' -printf '%f\n' | sort -u)
bad=0
while IFS= read -r -d '' file; do
	case $(head -c 4 "$file" | tr -d '\0') in
	$'\x7fELF')
		while read -r lib; do
			grep -qxF "$lib" <<<"$have" || { echo "os: ${file#"$root"} needs $lib, which no package here has" >&2; bad=1; }
		done < <(readelf -d "$file" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
		;;
	'#!'*)
		read -r _ interpreter _ < <(head -1 "$file" | tr -d '\0' | sed 's/^#! */#! /')
		[ -e "$root/$interpreter" ] || [ -L "$root/$interpreter" ] || rm -f "$file" # scripts of a language left out
		;;
	esac
done < <(find "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/libexec" "$root/etc" -type f \
	\( -perm -u+x -o -name '*.so*' \) -print0)
exit $bad
