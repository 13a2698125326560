#!/bin/bash
# A key release beside its signatures (bench/kms.c): a KMS of its own, software TEE evidence. Needs the build.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
export PATH=$PWD/$build/bin:$PATH
work=$(mktemp -d) pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$work"' EXIT
guest=$build/tests/tools/fakeguest
port_of() # port_of LOG: waits for the port in a log line
{
	local end=$((SECONDS + 10))
	until grep -q 'port=[0-9]' "$1"; do
		[ $SECONDS -lt $end ] || { cat "$1" >&2 && return 1; }
		sleep 0.1
	done
	sed -n 's/.*port=\([0-9]*\).*/\1/p' "$1" | head -n 1
}
start() # start LOG COMMAND…
{
	local log=$1
	shift
	"$@" 2>"$log" &
	pids+=($!)
}

dstack-softtee pki --dir "$work/pki"
start "$work/serve.log" dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0
image=$($guest image --image "$work/images/one")
app=$(printf '01%.0s' {1..20}) compose=$(printf '5a%.0s' {1..32})
cat >"$work/kms.toml" <<EOF
insecure_development = true
[core]
cert_dir = "$work/kms"
[rpc]
address = "tcp:127.0.0.1:0"
sans = ["127.0.0.1"]
[image]
dir = "$work/images"
[attestation]
pccs_url = "http://127.0.0.1:$(port_of "$work/serve.log")"
development_root = "$work/pki/root.der"
[policy]
file = "$work/policy.toml"
EOF
printf 'development = true\nos_images = ["%s"]\n[[app]]\nid = "%s"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' \
	"$image" "$app" "$compose" >"$work/policy.toml"
start "$work/kms.log" dstack-kms -c "$work/kms.toml"
port=$(port_of "$work/kms.log")
who=(--image "$work/images/one" --app "$app" --compose "$compose" --key "$work/guest.key")
# shellcheck disable=SC2046 # options, one word each
dstack-softtee quote --dir "$work/pki" --out "$work/quote" $($guest quote-args "${who[@]}")
$guest cert "${who[@]}" --quote "$work/quote" --ca "$work/kms/tmp-ca.crt" --ca-key "$work/kms/tmp-ca.key" \
	--out "$work/guest.crt"
$guest csr "${who[@]}" --quote "$work/quote" --subject app --san app.example >"$work/csr.json"
kms=${pids[-1]}
keys=$(pgrep -P "$kms" kms-keys)
"$build/bench/bench-kms" "https://127.0.0.1:$port/prpc" "$work/kms/root-ca.crt" "$work/guest.crt" "$work/guest.key" \
	"$work/csr.json" "$kms" "$keys"
"$build/bench/bench-audit" "$work/audit"
ulimit -n 4096
"$build/bench/bench-kms-load" "127.0.0.1:$port" "$work/kms/root-ca.crt" "$work/kms/tmp-ca.crt" "$work/kms/tmp-ca.key" \
	"$work/pki" "$work/images/one" "$app" "$compose" "$kms" "${GUESTS:-1000}"
sleep 5 # what the crowd needed is given back when it has gone
# shellcheck disable=SC2046 # one word each
awk '/^Pss:/ { n += $2 } END { printf "kms.memory_after\t%.1f\tMiB\t20\t%.2f\n", n / 1024, n / 1024 / 20 }' \
	"/proc/$kms/smaps_rollup" $(pgrep -P "$kms" | sed 's,.*,/proc/&/smaps_rollup,')
