#!/bin/bash
# Branch coverage of the evidence core by the unit tests (clang's source-based coverage). Prints a line a file and
# the total, and fails below the least that is wanted.
#   scripts/coverage.sh                     lib/core
#   scripts/coverage.sh --show [FOLDER…]    also every branch that no test took; of other folders: lib/crypto, …
#   scripts/coverage.sh --corpus NAME       by the seeds of that fuzz target alone: does it reach the parser?
#   COVERAGE_MIN=95                         per cent
set -euo pipefail
cd "$(dirname "$0")/.."
build=build-coverage
flags='-fprofile-instr-generate -fcoverage-mapping'
show=() tests=(--no-suite corpus) min=${COVERAGE_MIN:-95} broken=0
while [ $# -gt 0 ]; do
	case $1 in
	--show) show=(--show) ;;
	--corpus) tests=("corpus ${2:?name of a fuzz target}"); min=0; shift ;;
	-*) sed -n 's/^#   //p' "$0"; exit 2 ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || set -- lib/core

# Optimisation only shortens the run: the counters are placed before it.
[ -f $build/build.ninja ] ||
	LLVM_PROFILE_FILE=/dev/null CC=clang-14 meson setup $build -Doptimization=1 -Dwerror=false -Db_lundef=false -Dc_args="$flags" -Dc_link_args="$flags" >/dev/null
ninja -C $build >$build/build.log || { tail -n 40 $build/build.log; exit 1; }
rm -rf $build/profile
mkdir $build/profile
LLVM_PROFILE_FILE=$PWD/$build/profile/%2m.profraw meson test -C $build --no-rebuild "${tests[@]}" >$build/test.log ||
	{ grep -E '^ *[0-9]+/[0-9]+ ' $build/test.log | grep -v ' OK '; broken=1; }
llvm-profdata-14 merge -o $build/all.profdata $build/profile/*.profraw

# The object files themselves, so that a file that no test links counts too.
mapfile -t objects < <(for folder; do find "$build/$(cut -d/ -f1,2 <<<"$folder")" -name '*.o'; done | sort -u)
llvm-cov-14 export -format=text -instr-profile $build/all.profdata "${objects[@]/#/-object=}" >$build/coverage.json
scripts/coverage.py "${show[@]}" --min "$min" --build $build $build/coverage.json "$@"
[ $broken = 0 ]
