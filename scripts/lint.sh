#!/bin/bash
# What a reader expects to hold everywhere: formatting, clang's warnings, sizes, headers that say what they are.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
bad=0
files=$(git ls-files '*.c' '*.h')
format=clang-format-14
command -v $format >/dev/null || format=clang-format
# shellcheck disable=SC2086 # a list of names without blanks
$format --dry-run -Werror $files || bad=1
for f in $files; do
	lines=$(wc -l <"$f")
	[ "$lines" -le 600 ] || { echo "$f: $lines lines, 600 is the limit"; bad=1; }
	case $f in *.h) head -n 1 "$f" | grep -q '^//' || { echo "$f: does not begin by saying what it is"; bad=1; } ;; esac
done
[ -f build-clang/build.ninja ] || CC=clang-14 meson setup build-clang >/dev/null
ninja -C build-clang | grep -E 'warning|error' && bad=1
exit $bad
