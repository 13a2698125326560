#!/bin/bash
# Run one fuzz target for FUZZ_SECONDS on a copy of its corpus; one line says how it went. The seed is fixed so that a
# gate repeats itself; hunting wants another: FUZZ_SEED=0 FUZZ_SECONDS=600 make fuzz.
#   scripts/fuzz-one.sh build-fuzz/tests/fuzz/AREA/NAME_fuzz
set -u
target=$1
name=$(basename "$target")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds=tests/fuzz/corpus/${name%_fuzz}
[ -d "$seeds" ] && cp "$seeds"/* "$work/" 2>/dev/null
log=$LOGS/$name.log
if timeout -k 5 $((FUZZ_SECONDS + 60)) "$target" -max_total_time="$FUZZ_SECONDS" -seed="${FUZZ_SEED:-1}" -timeout=10 -rss_limit_mb=2048 \
	-artifact_prefix="$LOGS/$name-" "$work" >"$log" 2>&1; then
	echo "ok - fuzz $name: $(grep -o 'Done [0-9]* runs' "$log")"
else
	echo "not ok - fuzz $name: $(grep -m1 -E 'ERROR|SUMMARY|runtime error' "$log")"
	tail -n 25 "$log" >&2
fi
