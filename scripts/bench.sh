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
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
for script in bench/*.sh; do
	name=$(basename "$script" .sh)
	[ -z "$only" ] || [ "$only" = "$name" ] || continue
	[ -n "$json" ] || printf '== %s\n' "$name" >&2
	bash "$script" | tee /dev/stderr | grep -P '^[a-z0-9_.]+\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*$' >>"$figures" || true
done 2> >(if [ -n "$json" ]; then cat >/dev/null; else cat >&2; fi)
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
