#!/bin/bash
# `dstack verify` and `dstack events` on files and on a TLS server: exit codes, claims and reasons.
. "$(dirname "$0")/lib.sh"

export DSTACK_HOME=
soft=tests/evidence/soft/tpm-3072-2cpu.bin
says() { # says EXIT JQ-EXPRESSION COMMAND...
	local want=$1 what=$2 got=0
	shift 2
	"$@" >"$work/out" 2>"$work/err" || got=$?
	[ "$got" = "$want" ] && jq -e "$what" <"$work/out" >/dev/null
}

check "a TPM log replays" says 0 '.kind == "tpm" and .events == 24 and (.rtmr2 | startswith("82e655f5"))' \
	dstack events replay "$soft" --json
check "a CCEL replays" says 0 '.kind == "ccel" and .events == 18' \
	dstack events replay tests/evidence/real/dstack/cc-eventlog/ccel.bin --json
check "a GetQuote answer replays to its quote" says 0 '.kind == "json" and (.rtmr3 | startswith("6f24c170"))' \
	dstack events replay tests/evidence/real/dstack/verifier/tdx-lite-getquote.json --json
simulator=tests/evidence/real/dstack/sdk-simulator/attestation.bin
check "an envelope replays to its quote" says 0 '.kind == "envelope" and .quoted.equal and .rtmr0 != null' \
	dstack events replay "$simulator" --json
check "a TPM log gives its PCRs" says 0 '.pcrs.sha256["0"] == "0cca9ec161b09288802e5a112255d21340ed5b797f5fe29cecccfd8f67b9f802"' \
	dstack events replay tests/evidence/real/dstack/cc-eventlog/tpm_eventlog.bin --json

# Where a log departs from the expected one.
lite=tests/evidence/real/dstack/verifier/tdx-lite-getquote.json
check "a log explains itself" says 0 '.equal and .first == null' dstack explain --expected "$lite" --log "$lite" --json
jq -c '.vm_config | fromjson | .memory_size = 8589934592' "$lite" >"$work/8g.json"
check "another memory size is named" \
	says 5 '.first | .cause == "memory_size" and .event == "TD HOB" and (.text | test("2048 MiB.*8192 MiB"))' \
	dstack explain --expected "$lite" --log "$lite" --vm-config "$work/8g.json" --json
jq -r '.vm_config | fromjson | .tdx_measurement.measurement' "$lite" | base64 -d >"$work/measurement.tdx.cbor"
check "a measurement file and the log's machine" says 0 .equal \
	dstack explain --expected "$work/measurement.tdx.cbor" --log "$lite" --json
jq -c '.event_log |= (fromjson | map(if .imr == 2 and .digest[0:4] == "7862" then .digest = ("0" * 96) else . end) | tojson)' \
	"$lite" >"$work/cmdline.json"
check "another command line is named" says 5 '.first | .cause == "command_line" and .register == "rtmr2"' \
	dstack explain --expected "$work/measurement.tdx.cbor" --log "$work/cmdline.json" --json
check "two recorded machines differ by their memory" says 5 '.first.cause == "memory_size"' \
	dstack explain --expected tests/evidence/soft/tpm-1024.bin --log tests/evidence/soft/tpm-2560.bin --json
check "no machine is no answer" says 2 '.code == "vm_config.format"' \
	dstack explain --expected "$work/measurement.tdx.cbor" --log tests/evidence/real/dstack/cc-eventlog/ccel.bin --json
check "something else is unreadable input" says 2 '.code == "events.format"' dstack events replay README.md --json

# Evidence of a software TEE whose boot was recorded.
dstack-softtee pki --dir "$work/pki"
dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
server=$!
until_true 5 grep -q port= "$work/serve.log"
pccs=http://127.0.0.1:$(sed -n 's/.*port=//p' "$work/serve.log")
compose=$(printf '{}' | sha256sum | cut -c1-64)
printf '{}' >"$work/app-compose.json"
dstack events replay "$soft" --json --list >"$work/boot.json"
event() { printf '{"imr":3,"event_type":134217729,"event":"%s","event_payload":"%s"}' "$1" "$2"; }
{ event app-id "${compose:0:40}"; event compose-hash "$compose"; event boot-mr-done ""; event system-ready ""; } |
	jq -s . >"$work/runtime.json"
jq -s '.[0].event_log + .[1]' "$work/boot.json" "$work/runtime.json" >"$work/log.json"
rtmr3=$(dstack events replay "$work/log.json" --json | jq -r .rtmr3)
args=(--dir "$work/pki" --rtmr3 "$rtmr3")
for i in 0 1 2; do args+=("--rtmr$i" "$(jq -r .rtmr$i "$work/boot.json")"); done
evidence() { # evidence FILE [quote options]: a GetQuote answer
	local out=$1
	shift
	dstack-softtee quote "${args[@]}" --mrconfigid "01${compose}000000000000000000000000000000" "$@" --out "$work/q"
	jq -n --arg quote "$(od -An -v -tx1 "$work/q" | tr -d ' \n')" --arg log "$(jq -c . "$work/log.json")" \
		'{quote: $quote, event_log: $log, vm_config: "{\"tee\":\"soft\",\"memory_size\":3221225472}"}' >"$out"
}
evidence "$work/e.json"
v=(dstack verify "$work/e.json" --pccs-url "$pccs" --json)
dev=("${v[@]}" --development-root "$work/pki/root.pem")
check "genuine evidence without its image is not trusted" \
	says 5 '.ok == false and .code == "measure.base_unverified" and .anchor == "development"' "${dev[@]}"
check "its events, app and compose hash are shown" \
	says 5 '[.claims[] | select(.name == "event_log" or .name == "app_id" or .name == "compose_hash") | .ok] == [true, true, true]' \
	"${dev[@]}"
check "the expected compose file is compared" says 5 '.code == "measure.base_unverified"' "${dev[@]}" --compose "$work/app-compose.json"
printf '{ }' >"$work/other.json"
check "another compose file is named first" says 5 '.code == "compose_hash.mismatch"' "${dev[@]}" --compose "$work/other.json"
check "the development root must be asked for" says 5 '.code == "root.not_trusted"' "${v[@]}"
evidence "$work/e.json" --rtmr3 "$(printf '00%.0s' {1..48})"
check "a log of other events is refused" says 5 '.code == "events.rtmr3"' "${dev[@]}"
check "an unreadable file says so" says 2 '.code == "envelope.format" or .code == "envelope.version"' \
	dstack verify README.md --pccs-url "$pccs" --json
kill $server
evidence "$work/e.json"
check "without collateral: try again later" says 6 '.code == "collateral.fetch"' "${dev[@]}"

# Offline: collateral, time and root from files; the same bytes whichever way the collateral comes.
dstack-softtee collateral --dir "$work/pki" --out "$work/col.json"
now=$(date +%s)
offline=(--at "$now" --root "$work/pki/root.der" --json)
check "collateral, time and root from files" says 5 '.code == "measure.base_unverified" and .status == "UpToDate"' \
	dstack verify "$work/e.json" --collateral "$work/col.json" "${offline[@]}"
cp "$work/out" "$work/first"
jq --slurpfile c "$work/col.json" '. + {collateral: $c[0]}' "$work/e.json" >"$work/with.json"
check "collateral in the evidence" says 5 '.code == "measure.base_unverified"' dstack verify "$work/with.json" "${offline[@]}"
check "gives the same bytes" cmp "$work/first" "$work/out"
check "at another time it has expired" says 5 '.code | test("time|expired|future")' \
	dstack verify "$work/with.json" --at 4102444800 --root "$work/pki/root.der" --json
check "another root is not trusted" says 5 '.code == "root.not_trusted"' dstack verify "$work/with.json" --at "$now" --json
policy() { printf '%s' "$2" >"$work/policy.json"; check "$1" says "$3" "$4" dstack verify "$work/with.json" --policy "$work/policy.json" "${offline[@]}"; }
policy "a policy that allows this app" "{\"compose_hash\":[\"$compose\"]}" 5 '.code == "measure.base_unverified"'
policy "one that allows no app" '{"app_id":[]}' 5 '.code == "app_id.mismatch"'
policy "one that allows no TCB status" '{"tcb_status":[]}' 5 '.code == "policy.tcb_not_allowed"'
policy "one with an unknown member" '{"aplication":[]}' 2 '.code == "policy.unknown_field"'
policy "one that is no JSON" '{' 2 '.code == "policy.format"'
policy "an empty one" '' 2 '.code == "input.unreadable"'
printf '{"app_id":[]}' >"$work/policy.json"
check "what the policy says cannot be said again" says 2 '.code == "policy.format"' dstack verify "$work/with.json" \
	--policy "$work/policy.json" --app-id "${compose:0:40}" "${offline[@]}"
real=tests/evidence/real/dstack
check "an unverified platform is named" says 5 '.code == "envelope.platform"' \
	dstack verify "$real/dstack-attest/nitro_attestation.bin" --json
check "a raw quote alone is not trusted" says 5 '.ok == false' dstack verify "$real/ra-tls/tdx_quote" --json \
	--collateral tests/evidence/real/dcap-qvl/tdx_quote_collateral.json --at 1750000000

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/k" -out "$work/c" -subj /CN=x -days 1 2>/dev/null
port=$((20000 + RANDOM % 20000))
openssl s_server -accept "127.0.0.1:$port" -cert "$work/c" -key "$work/k" -quiet >/dev/null 2>&1 &
tls=$!
until_true 5 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
check "a server without evidence is not trusted" says 5 '.code == "ratls.no_evidence"' \
	dstack verify https://app.example/ --connect "127.0.0.1:$port" --json
kill $tls
check "nobody there: try again later" says 6 '.code == "cli.connect"' dstack verify "https://127.0.0.1:1/" --json
check "codes are explained" says 0 '.todo' dstack explain ratls.no_evidence --json
