#!/bin/bash
# A thousand guests that ask a KMS for their keys at the same moment: none is lost, each is in the audit log.
. "$(dirname "$0")/lib.sh"
guest=build/tests/tools/fakeguest n=${GUESTS:-1000}
app=00112233445566778899aabbccddeeff00112233 compose=$(printf '5a%.0s' {1..32})
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

dstack-softtee pki --dir "$work/pki"
dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
pids+=($!)
until_true 5 grep -q port= "$work/serve.log"
image=$($guest image --image "$work/images/one")
config() # config NAME [MORE]
{
	cat >"$work/$1.toml" <<-EOF
		insecure_development = true
		[core]
		cert_dir = "$work/certs"
		[rpc]
		address = "tcp:127.0.0.1:0"
		sans = ["127.0.0.1"]
		[image]
		dir = "$work/images"
		[attestation]
		pccs_url = "http://127.0.0.1:$(sed -n 's/.*port=//p' "$work/serve.log")"
		development_root = "$work/pki/root.der"
		[policy]
		file = "$work/policy.toml"
		${2-}
	EOF
}
printf 'development = true\nos_images = ["%s"]\n[[app]]\nid = "%s"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' \
	"$image" "$app" "$compose" >"$work/policy.toml"
start() # start NAME
{
	: >"$work/kms.log"
	dstack-kms -c "$work/$1.toml" 2>"$work/kms.log" &
	kms=$!
	pids+=("$kms")
	until_true 10 grep -q 'listening.*port=' "$work/kms.log" || { cat "$work/kms.log" && return 1; }
	port=$(sed -n 's/.*listening.* port=\([0-9]*\).*/\1/p' "$work/kms.log")
}
load() # load GUESTS
{
	build/bench/bench-kms-load "127.0.0.1:$port" "$work/certs/root-ca.crt" "$work/certs/tmp-ca.crt" \
		"$work/certs/tmp-ca.key" "$work/pki" "$work/images/one" "$app" "$compose" "$kms" "$1"
}
metric() { curl -sS --cacert "$work/certs/root-ca.crt" "https://127.0.0.1:$port/metrics" | sed -n "s/^$1 //p"; }

config kms && start kms
ulimit -n 4096
load "$n" >"$work/load" 2>"$work/load.err"
sed 's/^/# /' "$work/load" "$work/load.err"
check "of $n guests at once none is lost" grep -q "^kms.load.lost	0	" "$work/load"
check "and each got its keys once" test "$(metric 'dstack_kms_requests_total{method="GetAppKey",result="ok"}')" = "$n"
check "nothing was refused" test "$(metric dstack_kms_connections_refused_total)$(metric dstack_kms_requests_refused_total)" = 00
kill "$kms" && wait "$kms"

# Rates: what is beyond them is refused before the handshake, and the KMS goes on.
config few '[limits]
connections_per_s = 1
connections_burst = 20'
start few
load 60 >"$work/load" 2>"$work/load.err"
lost=$(awk '$1 == "kms.load.lost" { print $2 }' "$work/load")
check "an address beyond its rate is refused" eval '[ "$lost" -ge 35 ] && [ "$lost" -le 41 ]'
sleep 2 # till this address may ask again
check "the others are served" test "$(metric 'dstack_kms_requests_total{method="GetAppKey",result="ok"}')" = $((60 - lost))
check "before any handshake, and it is counted" test "$(metric dstack_kms_connections_refused_total)" = "$lost"
