#!/bin/bash
# The gateway's passthrough path beside haproxy in one run: CPU of the proxy per gigabyte, per connection, per
# request, memory. In a network namespace of its own; proxies on one CPU, both endpoints on another. Needs the
# build. SECONDS_EACH (1.5) a measure, ROUNDS (2), IDLE (4000) connections.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${BENCH_NS:-}" ] || exec env BENCH_NS=1 unshare -n "$0" "$@"
ip link set lo up
ip addr add 10.8.0.2/32 dev lo
sysctl -q -w net.ipv4.ip_local_port_range="10240 65000" net.ipv4.tcp_tw_reuse=1 net.core.somaxconn=8192
ulimit -n "$(ulimit -Hn)"
exec python3 bench/gateway.py "${BUILD:-build}"
