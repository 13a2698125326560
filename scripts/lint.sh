#!/bin/bash
# What a reader expects to hold everywhere: formatting, clang's warnings, sizes, headers that say what they are.
#   scripts/lint.sh                   what the gate would refuse
#   scripts/lint.sh deep [FOLDER…]    gcc's and clang's analysers, for a reader to judge; default: lib/core
set -uo pipefail
cd "$(dirname "$0")/.." || exit
if [ "${1:-}" = deep ]; then
	shift
	[ $# -gt 0 ] || set -- lib/core
	# Without the checks whose findings here were all of taste: macros, equal branches, arrays of pointers, ignored results.
	checks='-*,bugprone-*,cert-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier'
	checks+=',-bugprone-macro-parentheses,-bugprone-branch-clone,-bugprone-sizeof-expression,-cert-dcl37-c,-cert-dcl51-cpp'
	checks+=',-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-multiplication-result,-cert-err33-c'
	checks+=',-bugprone-assignment-in-if-condition,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling'
	command -v clang-tidy-14 >/dev/null || echo "clang-tidy-14 is not installed: gcc's analyser only"
	git ls-files "${@/%//*.c}" | while read -r f; do
		gcc -std=gnu17 -O2 -Ilib -Ibuild -D_GNU_SOURCE -fanalyzer -c "$f" -o /dev/null 2>&1 | grep 'warning:'
		! command -v clang-tidy-14 >/dev/null ||
			clang-tidy-14 --quiet --checks="$checks" "$f" -- -std=gnu17 -Ilib -Ibuild -D_GNU_SOURCE 2>/dev/null | grep 'warning:'
	done
	exit 0
fi
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
