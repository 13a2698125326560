#!/bin/bash
# Hunts with the fuzz targets for longer than the gate does. A line a target: executions, coverage, findings. What it
# learns stays in build-fuzz/long/NAME and is where the next run goes on; findings stay in build-fuzz/findings.
#   scripts/fuzz-long.sh [SECONDS [NAME…]]   default: an hour each, all targets
#   JOBS=2                                   how many at a time
# One input may take 300 s by the clock before it counts as a finding: a machine that does other work meanwhile makes
# any input slow. What one costs in truth is seen by `core-hostile` and the tests of limits.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
seconds=${1:-3600}
shift $(($# > 0))
build=build-fuzz
[ -f $build/build.ninja ] || CC=clang-14 meson setup $build -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
ninja -C $build -t targets all | sed -n 's/^\(tests\/fuzz\/.*_fuzz\): .*/\1/p' | sort >$build/targets
if [ $# -gt 0 ]; then
	grep -E "/($(IFS='|'; echo "$*"))_fuzz\$" $build/targets >$build/chosen || { echo "no such target"; exit 2; }
else
	cp $build/targets $build/chosen
fi
# shellcheck disable=SC2046 # names without blanks
ninja -C $build $(cat $build/chosen) >$build/build.log || { tail -n 40 $build/build.log; exit 1; }
mkdir -p $build/findings

one() # one TARGET SECONDS
{
	local name work=build-fuzz/long/ log before
	name=$(basename "$1" _fuzz)
	work+=$name
	log=$work.log
	mkdir -p "$work"
	before=$(find build-fuzz/findings -name "$name-*" | wc -l)
	ASAN_OPTIONS=quarantine_size_mb=32 "build-fuzz/$1" -max_total_time="$2" -timeout=300 -rss_limit_mb=2048 -artifact_prefix="build-fuzz/findings/$name-" \
		"$work" "tests/fuzz/corpus/$name" >"$log" 2>&1
	printf '%-16s %12s executions  %6s points reached  %s new findings\n' "$name" \
		"$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p; s/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)" \
		"$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)" \
		$(($(find build-fuzz/findings -name "$name-*" | wc -l) - before))
	grep -m1 -E 'ERROR: |runtime error: ' "$log"
	return 0
}
export -f one
xargs -a $build/chosen -P "${JOBS:-$(nproc)}" -I{} bash -c "one {} $seconds"
found=$(find $build/findings -type f)
[ -z "$found" ] || {
	echo "findings: mend each, then keep it: cp FILE tests/fuzz/corpus/NAME/WHAT-IT-SHOWS"
	echo "$found"
	exit 1
}
