#!/bin/bash
# Run the benchmarks in bench/ (or the one named): a table for people, then one tab-separated line a figure:
# metric, value, unit, reference, ratio (value / reference, measured in the same run), and the ratio's budget if any.
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
	grep -P '^[a-z0-9_.]+(\t[^\t]*){4,5}$' "$work/out" >>"$figures" || true
done
[ -z "$failed" ] || { echo "failed:$failed" >&2 && exit 1; }
[ -s "$figures" ] || { echo "no such benchmark: $only" >&2; exit 4; }
if [ -n "$json" ]; then
	jq -R -s 'split("\n") | map(select(. != "") | split("\t") |
		{metric: .[0], value: (.[1] | tonumber? // .), unit: .[2], reference: (.[3] | tonumber? // .), ratio: (.[4] | tonumber? // .)} +
		if .[5] then {budget: (.[5] | tonumber? // .)} else {} end)' "$figures"
else
	printf '\n%-28s %14s %-10s %14s %8s %8s\n' metric value unit reference ratio budget
	awk -F'\t' '{printf "%-28s %14s %-10s %14s %8s %8s%s\n", $1, $2, $3, $4, $5, $6, ($6 != "" && $5 + 0 > $6 + 0 ? " missed" : "")}' "$figures"
	echo
	cat "$figures"
fi
