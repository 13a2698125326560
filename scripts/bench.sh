#!/bin/bash
# Run the benchmarks in bench/ (or the one named): a table for people, then one tab-separated line a figure:
# metric, value, unit, reference, ratio (value / reference, measured in the same run).
#   scripts/bench.sh [NAME] [--json]
set -euo pipefail
cd "$(dirname "$0")/.."
only='' json=
for arg; do
	case $arg in --json) json=1 ;; *) only=$arg ;; esac
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
figures=$work/figures failed=
: >"$figures"
for script in bench/*.sh; do
	name=$(basename "$script" .sh)
	[ -z "$only" ] || [ "$only" = "$name" ] || continue
	if [ -n "$json" ]; then
		bash "$script" >"$work/out" 2>"$work/err" || { failed="$failed $name" && cat "$work/err" >&2; }
	else
		printf '== %s\n' "$name" >&2
		bash "$script" | tee "$work/out" >&2 || failed="$failed $name"
	fi
	grep -P '^[a-z0-9_.]+\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*$' "$work/out" >>"$figures" || true
done
[ -z "$failed" ] || { echo "failed:$failed" >&2 && exit 1; }
[ -s "$figures" ] || { echo "no such benchmark: $only" >&2; exit 4; }
if [ -n "$json" ]; then
	jq -R -s 'split("\n") | map(select(. != "") | split("\t") |
		{metric: .[0], value: (.[1] | tonumber? // .), unit: .[2], reference: (.[3] | tonumber? // .), ratio: (.[4] | tonumber? // .)})' "$figures"
else
	printf '\n%-28s %14s %-10s %14s %8s\n' metric value unit reference ratio
	awk -F'\t' '{printf "%-28s %14s %-10s %14s %8s\n", $1, $2, $3, $4, $5}' "$figures"
	echo
	cat "$figures"
fi
