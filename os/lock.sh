#!/bin/bash
# Bring every package of the lock into CACHE/debs and print the path of the lock that holds.
#   os/lock.sh CACHE [--locked]
# os/lock has a line "package version architecture sha256" for each .deb. When the archive has moved past it (and the
# cache does not have the old files), the packages are chosen anew and CACHE/lock is used from then on, with a notice.
set -euo pipefail
os=$(cd "$(dirname "$0")" && pwd)
cache=$1 locked=${2:-}
debs=$cache/debs apt=$cache/apt
mkdir -p "$debs/partial" "$apt/lists/partial"
say() { echo "os: $*" >&2; }

# "name_version_arch.deb" as apt writes it: a colon in the version becomes %3a.
deb_name() { printf '%s_%s_%s.deb' "$1" "${2//:/%3a}" "$3"; }

# The lines of lock $1 whose .deb is not in the cache with the right hash.
missing() {
	local name version arch sum
	while read -r name version arch sum; do
		[ -n "$name" ] && [ "$name" != '#' ] || continue
		printf '%s  %s\n' "$sum" "$(deb_name "$name" "$version" "$arch")"
	done <"$1" | (cd "$debs" && sha256sum -c 2>/dev/null || true) | grep -v ': OK$' | sed 's/: FAILED.*//'
}

# Debian 13 from the mirrors that this Debian uses for itself, with its own apt settings (proxies).
sources() {
	local uri release signed key=/usr/share/keyrings/debian-archive-keyring.gpg
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(SIGNED_BY)' 'Created-By: Packages' |
	while read -r uri release signed; do
		case $release in
		bookworm | trixie | stable | oldstable) release=trixie ;;
		bookworm-updates | trixie-updates | stable-updates | oldstable-updates) release=trixie-updates ;;
		bookworm-security | trixie-security | stable-security | oldstable-security) release=trixie-security ;;
		*) continue ;;
		esac
		[ -f "$key" ] || key=${signed:-$key}
		echo "deb [arch=amd64 signed-by=$key] $uri $release main"
	done | sort -u
}

options=(-o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::State::Lists="$apt/lists"
	-o Dir::Cache="$apt" -o Dir::Cache::archives="$debs" -o Dir::Etc::SourceList="$apt/sources.list"
	-o Dir::Etc::SourceParts="$apt/none" -o Dir::Etc::PreferencesParts="$apt/none" -o APT::Architecture=amd64
	-o APT::Install-Recommends=false -o APT::Sandbox::User=root -o APT::Update::Post-Invoke::=
	-o Acquire::Languages=none -o Acquire::Retries=2 -o Dpkg::Use-Pty=0)

update() {
	: >"$apt/status"
	mkdir -p "$apt/none"
	sources >"$apt/sources.list"
	[ -s "$apt/sources.list" ] || { say "this machine's apt names no Debian archive"; return 1; }
	apt-get "${options[@]}" -q update >"$apt/update.log" 2>&1 || { tail -5 "$apt/update.log" >&2; return 1; }
	! grep -q '^Err' "$apt/update.log"
}

fetch() {
	local want=() name version arch sum
	while read -r name version arch sum; do
		[ -n "$name" ] && [ "$name" != '#' ] || continue
		missing <(echo "$name $version $arch $sum") | grep -q . && want+=("$name:$arch=$version")
	done <"$1"
	[ ${#want[@]} -gt 0 ] || return 0
	say "downloading ${#want[@]} packages"
	(cd "$debs" && apt-get "${options[@]}" -q download "${want[@]//:all=/=}") >"$apt/download.log" 2>&1 || return 1
	[ -z "$(missing "$1")" ]
}

# Choose the packages anew: what is wanted, with dependencies, less what is dropped.
resolve() {
	local want drop kernel
	want=$(sed 's/#.*//' "$os/packages" | grep -v '^-' | grep .)
	drop=$(sed -n 's/^-//p' "$os/packages")
	kernel=$(apt-cache "${options[@]}" depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p')
	# shellcheck disable=SC2086 # one word a package
	apt-get "${options[@]}" -q install -s $want $kernel |
	sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*\[\(.*\)\]).*/\1 \2 \3/p' | sort |
	awk -v drop="$drop" '
		BEGIN { n = split(drop, d, "\n"); for (i = 1; i <= n; i++) gone[d[i]] = 1 }
		!($1 in gone)' >"$apt/chosen"
	local name version arch list=()
	while read -r name version arch; do
		[ -f "$debs/$(deb_name "$name" "$version" "$arch")" ] || list+=("$name=$version")
	done <"$apt/chosen"
	[ ${#list[@]} -eq 0 ] || say "downloading ${#list[@]} packages"
	[ ${#list[@]} -eq 0 ] || (cd "$debs" && apt-get "${options[@]}" -q download "${list[@]}") >"$apt/download.log" 2>&1 ||
		{ tail -5 "$apt/download.log" >&2; return 1; }
	while read -r name version arch; do
		echo "$name $version $arch $(sha256sum <"$debs/$(deb_name "$name" "$version" "$arch")" | cut -c1-64)"
	done <"$apt/chosen"
}

# A lock of our own making counts only for the recipe and os/lock that it replaced.
origin=$({ cat "$os/packages"; cat "$os/lock" 2>/dev/null || true; } | sha256sum | cut -c1-64)
own=$cache/lock
if [ -f "$os/lock" ] && [ -z "$(missing "$os/lock")" ]; then
	echo "$os/lock"
	exit 0
fi
if [ -z "$locked" ] && [ -f "$own" ] && [ "$(sed -n 's/^# replaces //p' "$own")" = "$origin" ] && [ -z "$(missing "$own")" ]; then
	say "lock: using the one made here earlier ($own): the archive had moved past os/lock"
	echo "$own"
	exit 0
fi
update || { say "the Debian archive cannot be reached, and the cache lacks $(missing "$os/lock" | wc -l) locked packages"; exit 1; }
if [ -f "$os/lock" ] && fetch "$os/lock"; then
	echo "$os/lock"
	exit 0
fi
if [ -n "$locked" ]; then
	say "lock: the archive no longer has these packages of os/lock; a build with --locked ends here:"
	missing "$os/lock" >&2
	exit 1
fi
[ ! -f "$os/lock" ] || say "lock: the archive has moved past os/lock: building what is there; the image hash will be another one"
{ echo "# replaces $origin"; resolve; } >"$own.new"
mv "$own.new" "$own"
say "lock: new one in $own (copy it over os/lock, without its first line, to keep it)"
echo "$own"
