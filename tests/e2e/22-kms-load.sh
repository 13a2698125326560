#!/bin/bash
# A thousand guests that ask a KMS for their keys at the same moment: none is lost, each is in the audit log.
. "$(dirname "$0")/lib.sh"
. tests/e2e/kms.sh
n=${GUESTS:-1000}
trap 'kms_stop_all; finish; [ "$failures" -eq 0 ] || exit 1' EXIT
kms_world
load() # load GUESTS
{
	build/bench/bench-kms-load "127.0.0.1:$port" "$work/certs/root-ca.crt" "$work/certs/tmp-ca.crt" \
		"$work/certs/tmp-ca.key" "$work/pki" "$work/images/one" "$app" "$compose" "$kms" "$1"
}
metric() { curl -sS --cacert "$work/certs/root-ca.crt" "https://127.0.0.1:$port/metrics" | sed -n "s/^$1 //p"; }

kms_config >"$work/kms.toml" && kms_start "$work/kms.toml"
ulimit -n 4096
load "$n" >"$work/load" 2>"$work/load.err"
sed 's/^/# /' "$work/load" "$work/load.err"
check "of $n guests at once none is lost" grep -q "^kms.load.lost	0	" "$work/load"
check "and each got its keys once" test "$(metric 'dstack_kms_requests_total{method="GetAppKey",result="ok"}')" = "$n"
check "nothing was refused" test "$(metric dstack_kms_connections_refused_total)$(metric dstack_kms_requests_refused_total)" = 00
kill "$kms" && wait "$kms"

# Rates: what is beyond them is refused before the handshake, and the KMS goes on.
kms_config '' '[limits]
connections_per_s = 1
connections_burst = 20' >"$work/few.toml"
kms_start "$work/few.toml"
load 60 >"$work/load" 2>"$work/load.err"
lost=$(awk '$1 == "kms.load.lost" { print $2 }' "$work/load")
check "an address beyond its rate is refused" eval '[ "$lost" -ge 35 ] && [ "$lost" -le 41 ]'
sleep 2 # till this address may ask again
check "the others are served" test "$(metric 'dstack_kms_requests_total{method="GetAppKey",result="ok"}')" = $((60 - lost))
check "before any handshake, and it is counted" test "$(metric dstack_kms_connections_refused_total)" = "$lost"
