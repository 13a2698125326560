#!/bin/bash
# The VMM daemon with 20 VMs: memory, and CPU of a Status call that lists them beside one of Version, which lists
# nothing. Needs the build and the guest image.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
export PATH=$PWD/$build/bin:$PATH
work=$(mktemp -d) daemon=
trap '[ -z "$daemon" ] || kill "$daemon"; wait; rm -rf "$work"' EXIT
calls=500 vms=20

scripts/image.sh >"$work/image.log" 2>&1 || { cat "$work/image.log" >&2 && exit 1; }
mkdir "$work/images"
ln -s "$PWD/.cache/image" "$work/images/one"
cat >"$work/vmm.toml" <<END
address = "unix:$work/vmm.sock"
run_path = "$work/vm"
image.path = "$work/images"
[cvm]
platform = "soft"
accel = "tcg"
END
dstack-vmm -c "$work/vmm.toml" 2>"$work/vmm.log" &
daemon=$!
rpc() { curl -sS --fail-with-body -m 20 --unix-socket "$work/vmm.sock" "http://vmm/prpc/$1?json" -d "${2:-}"; }
end=$((SECONDS + 10))
until rpc Version >/dev/null 2>&1; do
	[ $SECONDS -lt $end ] || { cat "$work/vmm.log" >&2 && exit 1; }
	sleep 0.1
done
compose='{\"manifest_version\":2,\"name\":\"bench\",\"runner\":\"docker-compose\",\"docker_compose_file\":\"services: {}\\n\"}'
for i in $(seq $vms); do
	rpc CreateVm "{\"name\":\"bench$i\",\"image\":\"one\",\"compose_file\":\"$compose\",\"vcpu\":1,\"memory\":512,\"disk_size\":1,\"stopped\":true}" >/dev/null
done
[ "$(rpc Status | jq .total)" = $vms ]

# CPU of the daemon for `calls` calls of METHOD over one connection, in ns.
spent() { awk '{n += $1} END{print n}' /proc/"$daemon"/task/*/schedstat; }
cost()
{
	local before
	rpc "$1" >/dev/null
	before=$(spent)
	curl -sS -o /dev/null --unix-socket "$work/vmm.sock" "http://vmm/prpc/$1?json&n=[1-$calls]" -d ''
	echo $(($(spent) - before))
}
awk -v s="$(cost Status)" -v v="$(cost Version)" -v n=$calls \
	'BEGIN{printf "vmm.status_20_vms\t%.0f\tus\t%.0f\t%.2f\n", s / n / 1e3, v / n / 1e3, s / v}'
awk '/^Pss:/{printf "vmm.memory_20_vms\t%.1f\tMiB\t15\t%.2f\n", $2 / 1024, $2 / 1024 / 15}' /proc/"$daemon"/smaps_rollup
