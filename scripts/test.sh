#!/bin/bash
# Everything that proves the tree: unit tests (gcc; clang under ASan and UBSan), fuzz targets for a few seconds
# each, whole-system tests on the real programs. Ends with `N passed, N failed`.
#   scripts/test.sh [unit|fuzz|e2e [NAME…]]     default: all
set -uo pipefail
cd "$(dirname "$0")/.." || exit
what=${1:-all}
FUZZ_SECONDS=${FUZZ_SECONDS:-10}
logs=build/test-logs
mkdir -p "$logs"
passed=0 failed=0 began=$SECONDS

say() { printf '== %s (%d s)\n' "$*" $((SECONDS - began)); }
count() # count LOG: add up its ok / not ok lines, show the failures
{
	passed=$((passed + $(grep -c '^ok' "$1")))
	failed=$((failed + $(grep -c '^not ok' "$1")))
	grep '^not ok' "$1"
}
must() # must NAME COMMAND…: a step that is a test of its own
{
	local name=$1 log
	log=$logs/${name//[^a-zA-Z0-9]/-}.log
	shift
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok - $name"
		tail -n 60 "$log"
		return 1
	fi
}

# Each test program counts as one test. Their time limits are for an idle machine, so they are trebled here.
unit_in()
{
	local dir=$1 t name
	say "unit tests in $dir"
	meson test -C "$dir" --no-rebuild --print-errorlogs --timeout-multiplier 3 >"$logs/unit-$dir.log" 2>&1
	local status=$?
	while read -r t; do
		passed=$((passed + t))
	done < <(sed -n 's/^Ok: *//p' "$logs/unit-$dir.log")
	failed=$((failed + $(sed -n 's/^\(Fail\|Timeout\|Unexpected Pass\): *//p' "$logs/unit-$dir.log" | awk '{n+=$1} END{print n+0}')))
	[ $status -eq 0 ] || grep -vE '^ *[0-9]+/[0-9]+ .* OK ' "$logs/unit-$dir.log" | tail -n 80
}

unit()
{
	say "building (gcc)"
	must "build gcc" scripts/build.sh build || return
	unit_in build
	say "building (clang, ASan and UBSan)"
	[ -f build-asan/build.ninja ] || CC=clang-14 meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	must "build clang asan" ninja -C build-asan || return
	ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 unit_in build-asan
}

fuzz()
{
	say "building fuzz targets"
	[ -f build-fuzz/build.ninja ] || CC=clang-14 meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	local targets jobs=2
	targets=$(ninja -C build-fuzz -t targets all | sed -n 's/^\(tests\/fuzz\/.*_fuzz\): .*/\1/p' | sort)
	# shellcheck disable=SC2086 # a list of names without blanks
	must "build fuzz" ninja -C build-fuzz ${targets:?no fuzz targets} || return
	[ "$(wc -w <<<"$targets")" -le 40 ] || jobs=$(($(nproc) + 1))
	say "fuzzing $(wc -w <<<"$targets") targets, $FUZZ_SECONDS s each, $jobs at a time"
	sed 's/^/build-fuzz\//' <<<"$targets" |
		FUZZ_SECONDS=$FUZZ_SECONDS LOGS=$logs xargs -P "$jobs" -I{} scripts/fuzz-one.sh {} >"$logs/fuzz.log"
	count "$logs/fuzz.log"
}

e2e()
{
	local script log
	[ -x build/bin/dstack ] || must "build gcc" scripts/build.sh build || return
	say "guest image"
	must "guest image" scripts/image.sh || return
	for script in tests/e2e/[0-9]*.sh; do
		[ $# -eq 0 ] || [[ " $* " == *" $(basename "$script" .sh) "* ]] || continue
		log=$logs/$(basename "$script" .sh).log
		say "$script"
		timeout -k 10 1200 bash "$script" >"$log" 2>&1
		local status=$?
		count "$log"
		if [ $status -ne 0 ] && ! grep -q '^not ok' "$log"; then
			failed=$((failed + 1))
			echo "not ok - $script ended with $status"
		fi
		[ $status -eq 0 ] || tail -n 40 "$log"
	done
}

case $what in
all) unit; fuzz; e2e ;;
unit) unit ;;
fuzz) fuzz ;;
e2e) shift; e2e "$@" ;;
*) echo "usage: scripts/test.sh [unit|fuzz|e2e [NAME…]]"; exit 2 ;;
esac

say "done"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
