#!/bin/bash
# The stages of a measured guest's first boot beside a bare boot of the same kernel and firmware (bench/boot.py), on a
# local stack of its own. Needs the build; makes the guest image when it is not there. Root, like `make run`.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
export PATH=$PWD/$build/bin:$PATH
base=${BENCH_PORT_BASE:-20500}
work=$(mktemp -d)
export DSTACK_HOME=$work/home
finish()
{
	status=$?
	[ $status -eq 0 ] || tail -n 15 "$work"/*.log "$DSTACK_HOME"/log/*.log "$DSTACK_HOME"/vmm/vm/*/serial.log >&2 2>/dev/null || true
	[ ! -d "$DSTACK_HOME" ] || dstack down --dir "$DSTACK_HOME" >/dev/null 2>&1 || true
	rm -rf "$work"
	exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

scripts/image.sh >"$work/image.log" 2>&1
dstack up --dir "$DSTACK_HOME" --image .cache/image --port-base "$base" >"$work/up.log" 2>&1
examples/hello/build.sh "$build/hello" "http://127.0.0.1:$base" >"$work/hello.log" 2>&1
dstack deploy "$build/hello/compose.yaml" --name bench -e SECRET=bench --no-start >"$work/deploy.log" 2>&1
python3 bench/boot.py bench "$DSTACK_HOME"
