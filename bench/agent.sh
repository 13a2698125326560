#!/bin/bash
# Calls on the agent's unix socket beside a minimal echo server (bench/agent.c): an agent of its own on a fake TDX
# tree. Needs the build. CALLS: how many before agent.memory_after_calls.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
export PATH=$PWD/$build/bin:$PATH
work=$(mktemp -d) pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$work"' EXIT
export DCAP_TDX_QUOTE_CONFIGFS_PATH=$work/tsm DCAP_TDX_RTMR_SYSFS_PATH=$work/tsm
export DSTACK_CCEL_FILE=$PWD/tests/evidence/real/dstack/cc-eventlog/ccel.bin DSTACK_RUNTIME_LOG_DIR=$work/run
mkdir "$work/run"
ready() # ready FILE: waits for the word in it
{
	local end=$((SECONDS + 10))
	until grep -q ready "$1"; do
		[ $SECONDS -lt $end ] || { cat "$work"/*.log >&2 && return 1; }
		sleep 0.1
	done
}

dstack-softtee pki --dir "$work/pki"
tool=("$build/tests/tools/faketdx" --tree "$work/tsm" --pki "$work/pki" --ccel "$DSTACK_CCEL_FILE")
: >"$work/tsm.log"
"${tool[@]}" serve >"$work/tsm.log" 2>&1 &
pids+=($!)
ready "$work/tsm.log"
echo '{"manifest_version":2,"name":"bench","runner":"docker-compose","docker_compose_file":"services: {}\n"}' >"$work/app-compose.json"
"${tool[@]}" --version 1 emit system-preparing= app-id="$(printf '01%.0s' {1..20})" \
	compose-hash="$(sha256sum <"$work/app-compose.json" | cut -c-64)" system-ready=
echo '{"kms_urls":[],"vm_config":"{}"}' >"$work/sys-config.json"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" \
	-subj "/CN=bench" -days 2 2>/dev/null
(umask 077 && jq -n --arg k "$(printf '5a%.0s' {1..32})" --rawfile key "$work/ca.key" --rawfile crt "$work/ca.crt" \
	'{k256_key: $k, k256_signature: "", disk_crypt_key: "00", ca_cert: $crt, gateway_app_id: "",
	  key_provider: {Local: {key: $key, mr: "aa"}}}' >"$work/appkeys.json")
jq -n --arg w "$work" '{default: {core: {tee: "tdx", keys_file: "\($w)/appkeys.json",
	compose_file: "\($w)/app-compose.json", sys_config_file: "\($w)/sys-config.json"}},
	internal: {address: "unix:\($w)/dstack.sock", folder_address: ""}, "internal-v0": {address: "", folder_address: ""},
	"guest-api": {address: ""}, external: {address: "tcp:127.0.0.1:0"}}' >"$work/agent.json"
: >"$work/agent.out"
dstack-guest-agent -c "$work/agent.json" >"$work/agent.out" 2>"$work/agent.log" &
pids+=($!)
ready "$work/agent.out"
"$build/bench/bench-agent" "$work/dstack.sock" "${pids[-1]}" 2000 "${CALLS:-1000000}"
