#!/bin/bash
# dstack-simulator on upstream's fixture files, unchanged: its four sockets, upstream's dstack.toml, what it refuses, and the
# published JS SDK with its wallet helpers, every method.
. "$(dirname "$0")/lib.sh"
pid=
trap 'kill $pid 2>/dev/null; finish; [ "$failures" -eq 0 ] || exit 1' EXIT
real=$PWD/tests/evidence/real/dstack/sdk-simulator

cp -r "$real" "$work/app"
start() { # start [ARGUMENT…]: in the folder
	: >"$work/out"
	(cd "$work/app" && exec dstack-simulator "$@") >"$work/out" 2>"$work/log" &
	pid=$!
	until_true 5 grep -q ready "$work/out" || { cat "$work/log" && return 1; }
}
stop() { kill $pid && wait $pid; }
post() { curl -sS --unix-socket "$work/app/${sock:-dstack.sock}" -H 'Content-Type: application/json' -d "${2-null}" "http://x/$1"; }
is() { [ "$1" = "$2" ] || { echo "got: $1" && echo "want: $2" && return 1; }; }
has() { jq -e "$2" <<<"$1" >/dev/null || { echo "$1" | head -c 800 && return 1; }; }
part() { dd if="$1" bs=1 skip="$2" count="$3" status=none | xxd -p -c 9999; }

check "it says what it is" grep -q 'PROVES NOTHING' <(dstack-simulator --help)
check "takes upstream's flags" env -C "$work/app" dstack-simulator -w --check
check "starts on upstream's files as they are" start
check "and says loudly that it is no TEE" grep -q 'THIS IS A SIMULATOR' "$work/log"
for s in dstack tappd external guest; do check "$s.sock is there" test -S "$work/app/$s.sock"; done


refused "a second one in the same folder, whose sockets are taken" 'another process serves there' timeout 5 env -C "$work/app" dstack-simulator
check "and the first is still there" post Version

# The fixture's quote starts at byte 4 of attestation.bin; its report_data at 568 of the quote.
data=$(part "$real/attestation.bin" $((4 + 568)) 64)
quote=$(post GetQuote '{"report_data":"abcd"}')
check "GetQuote: report data patched into the quote" is "$(jq -r .quote <<<"$quote" | cut -c1137-1264)" "abcd$(printf '%0124d' 0)"
check "and nothing else of it" is "$(jq -r .quote <<<"$quote" | cut -c-1136)" "$(part "$real/attestation.bin" 4 568)"
check "all events are shown, with what the firmware measured" has "$quote" \
	'.event_log | fromjson | length == 33 and (map(select(.imr < 3 and .event_payload != "")) | length > 3) and all(.digest | length == 96)'
check "the attestation member is there, in the form V1" has "$quote" '.attestation[:26] == "83a776657273696f6e01a8706c"'
jq -r .attestation <<<"$quote" | xxd -r -p >"$work/v1.bin"
check "V1 and V0 hold the same events and registers" is "$(dstack events replay "$work/v1.bin")" "$(dstack events replay "$real/attestation.bin")"
check "and replay to the quote" is "$(dstack events replay "$work/v1.bin" | grep -c 'as in the quote')" 4
check "Attest over the fixture's own report data is the fixture, byte for byte" eval \
	'post Attest "{\"report_data\":\"$data\"}" | jq -r .attestation | xxd -r -p | cmp - "$real/attestation.bin"'
check "dstack verify does not trust it" grep -q 'NOT trusted: quote' <(dstack verify "$work/v1.bin" --at 1751000000 \
	--collateral tests/evidence/real/dcap-qvl/tdx_quote_collateral.json)
check "the machine's description is that of sys-config.json" has "$quote" \
	".vm_config == $(jq .vm_config "$real/sys-config.json")"
check "Worker.Info on external.sock" has "$(curl -sS -D "$work/head" --unix-socket "$work/app/external.sock" http://x/prpc/Worker.Info)" \
	'.instance_id == "1691ed1b47506cad7d08834668691d88246f5b1f" and (.tcb_info | length > 1000)'
check "with the version in a header" grep -qi '^X-App-Version: v[0-9]' "$work/head"
api() { curl -sS --unix-socket "$work/app/guest.sock" "http://x/api/$1"; }
check "GuestApi on guest.sock: Info" has "$(api Info)" '.app_id == "5bb4ff9a3837357f19dc176407a5709c62eb6c56" and .version != ""'
check "SysInfo is of this machine" has "$(api GuestApi.SysInfo)" '.num_cpus > 0 and .total_memory > 0 and (.disks | length == 1)'
check "NetworkInfo" has "$(api NetworkInfo)" '.interfaces | type == "array"'
check "ListContainers: there is no engine" has "$(api ListContainers)" '.containers == []'
check "Shutdown is answered and does nothing" is "$(api Shutdown)" null
demo() { post Info | jq -e '.app_cert | startswith("-----BEGIN")'; }
check "the demonstration certificate is there" until_true 5 demo
check "GpuInfo: none" is "$(post GpuInfo)" '{"attestation":""}'
check "EmitEvent is not known" has "$(post EmitEvent '{"event":"x"}')" '.error == "Service not found: EmitEvent"'
check "/metrics on external.sock" grep -q '^system_num_cpus [1-9]' <(curl -sS --unix-socket "$work/app/external.sock" http://x/metrics)
check "the dashboard there says what it is" grep -q '<strong>Simulator.</strong> There is no protected machine here' <(curl -sS --unix-socket "$work/app/external.sock" http://x/)
check "/logs on external.sock: there is no engine" has "$(curl -sS --unix-socket "$work/app/external.sock" http://x/logs/web)" '.code == "agent.engine"'
key=$(curl -sS --unix-socket "$work/app/external.sock" 'http://x/prpc/GetAttestationForAppKey?algorithm=ed25519')
check "Worker.GetAttestationForAppKey binds the app's signing key" is "$(jq -r .report_data <<<"$key" | xxd -r -p | tr -d '\0')" \
	"dip1::ed25519-pk:$(printf 698f56bd587d8ce3ca8db0e1c361ba9d190089f98dc4d9df800ff92ed073a65d | xxd -r -p | basenc --base64url | tr -d =)"
check "in the quote as well" is "$(jq -r .quote <<<"$key" | cut -c1137-1264)" "$(jq -r .report_data <<<"$key")"
old() { sock=tappd.sock post "prpc/Tappd.$1" "$2"; }
check "Tappd.RawQuote" is "$(old RawQuote "{\"report_data\":\"$data\"}" | jq -r .quote)" "$(part "$real/attestation.bin" 4 5010)"
check "Tappd.RawQuote wants 64 bytes" has "$(old RawQuote '{"report_data":"ab"}')" '.error | contains("invalid content length")'
check "Tappd.TdxQuote with a prefix" has "$(old TdxQuote '{"report_data":"","prefix":"kms-root-ca","hash_algorithm":"sha256"}')" \
	".prefix == \"kms-root-ca\" and .quote[1136:1200] == \"$(printf kms-root-ca: | sha256sum | cut -c-64)\""
check "Tappd.DeriveK256Key" has "$(old DeriveK256Key '{"path":"/","purpose":"test"}')" '.k256_key[:8] == "f6c1ed94" and (.k256_signature_chain | length == 2)'
check "Tappd.Info and Version" has "$(old Info null) $(old Version null)" 'length > 1'
check "tappd.sock serves the agent's methods too" has "$(sock=tappd.sock post GetKey '{"path":"/"}')" '.key[:8] == "f6c1ed94"'

# The published SDK and its wallet helpers, on the sockets and, by a relay, on a TCP port.
socat TCP-LISTEN:0,bind=127.0.0.1,fork UNIX-CONNECT:"$work/app/dstack.sock" &
relay=$!
listens() { http=$(ss -Hltnp | sed -n "s/.*127.0.0.1:\([0-9]*\) .*pid=$relay,.*/\1/p") && [ -n "$http" ]; }
until_true 5 listens
cp -r tests/e2e/simulator-npm "$work/npm"
check "the JS SDK installs from its lock" npm ci --prefix "$work/npm" --no-audit --no-fund --ignore-scripts --loglevel=error
(cd "$work/npm" && DSTACK_SIMULATOR_ENDPOINT=$work/app/dstack.sock TAPPD_SIMULATOR_ENDPOINT=$work/app/tappd.sock node sdk.js "http://127.0.0.1:$http") || failures=$((failures + 1))
kill $relay
# The C library: copied away, built by itself with nothing but libcurl, its example against the same socket.
cp -r sdk/c "$work/c"
check "the C library builds alone" cc -std=c17 -Wall -Wextra -Werror -o "$work/example" "$work/c/"{dstack,answer,request,example}.c -lcurl
check "so does the example of its README" cc -std=c17 -Wall -Wextra -Werror -I"$work/c" -o "$work/readme" \
	-x c <(sed -n '/^```c$/,/^```$/{/^```/!p}' sdk/c/README.md) "$work/c/"{dstack,answer,request}.c -lcurl
check "which runs too" env DSTACK_SIMULATOR_ENDPOINT="$work/app/dstack.sock" "$work/readme"
check "its example runs" eval 'DSTACK_SIMULATOR_ENDPOINT=$work/app/dstack.sock "$work/example" >"$work/c.out"'
shows() { grep -qE "$1" "$work/c.out" || { cat "$work/c.out" && return 1; }; }
check "the chain it got is that which curl gets" shows "^key's chain +$(post GetKey '{"path":"wallet/1","purpose":"ethereum"}' |
	jq -r '.signature_chain[0][:40]')\.\.\. \(65 bytes\)"
check "no GPUs are said to be none" shows '^gpus +none$'
check "its quote and report data" shows '^report data +68656c6c6f0{30}\.\.\. \(64 bytes\)'
for a in secp256k1 ed25519 secp256k1_prehashed; do check "it signs and verifies: $a" shows "^signature +$a: valid, of other data: not valid; 3 links"; done
check "its certificate is for the names asked for" grep -q 'DNS:app.example, DNS:www.app.example' \
	<(openssl x509 -in "$work/c.out" -noout -ext subjectAltName)
check "and a refusal is told in the agent's words" shows '^event +not recorded: Service not found: EmitEvent'
check "stops on SIGTERM" stop

# Upstream's dstack.toml.
cat >"$work/app/dstack.toml" <<'END'
[default]
workers = 8
max_blocking = 64
ident = "dstack Guest Agent"
temp_dir = "/tmp"
keep_alive = 10
log_level = "debug"

[default.limits]
GetKey = "1KiB"
json = "1MiB"

[default.core]
keys_file = "appkeys.json"
compose_file = "app-compose.json"
sys_config_file = "sys-config.json"

[default.core.simulator]
enabled = true
attestation_file = "attestation.bin"
patch_report_data = false

[internal-v0]
address = "unix:./old.sock"
reuse = true

[internal]
address = "unix:./dstack.sock"
reuse = true
workers = 2
limits = { Sign = 100 }

[external]
address = "127.0.0.1"
port = 0

[guest-api]
address = "unix:./guest.sock"
reuse = true
END
check "starts with a dstack.toml as upstream's and its flags, over its stale sockets" start -w
check "which moves a socket" test -S "$work/app/old.sock"
check "and an address of host and port is one" grep -q 'address=tcp:127.0.0.1:0 port=[1-9]' "$work/log"
check "without patching the quote is the file's, and so is the report data told" has "$(post GetQuote '{"report_data":"abcd"}')" \
	".report_data == \"$data\" and .quote[1136:1264] == \"$data\""
blanks() { printf "{%$(($1 - 2))s}" ''; }
check "limits.<method>: a body just as large" has "$(post GetKey "$(blanks 1024)")" '.key'
check "and one byte more" has "$(post GetKey "$(blanks 1025)")" '.error == "payload too large" and .code == "rpc.too_large"'
check "another method's limit is its own, and a listener's goes before the default" has "$(post GetQuote "$(blanks 2000)") $(post Sign "$(blanks 101)")" 'has("quote") or .code == "rpc.too_large"'
check "stops again" stop

no() # no TEXT CODE
{
	refused "$1" "$2" timeout 5 env -C "$work/app" dstack-simulator
}
echo 'nope = 1' >"$work/app/dstack.toml"
no "an unknown key in dstack.toml" config.unknown_key
seeded() { printf '[default.core.simulator]\nmock_attestation_seed = "%s"\n' "$1" >"$work/app/dstack.toml"; }
seeded abcd
no "a seed that is none" simulator.seed

# Signed anew by the development PKI of a seed: they verify under its root, and under no other.
seeded "$(printf '%064d' 1)"
check "starts with a seed" start
check "and still says what it is" grep -q 'THIS IS A SIMULATOR.*only under the development root' "$work/log"
post GetQuote '{"report_data":"abcd"}' >"$work/seeded.json"
check "the measurements are the file's" is "$(jq -r .quote "$work/seeded.json" | cut -c337-1136)" "$(part "$real/attestation.bin" $((4 + 168)) 400)"
check "report data is the caller's" is "$(jq -r .quote "$work/seeded.json" | cut -c1137-1264)" "abcd$(printf '%0124d' 0)"
mock() { "$@" --collateral "$work/app/mock-collateral.json"; }
judged() { mock dstack quote verify --quote <(jq -r .quote "$1") --root "$work/app/mock-root.der"; }
check "the quote verifies under the seed's root" judged "$work/seeded.json"
refused "and not under Intel's" root.not_trusted mock dstack verify "$work/seeded.json" --json
bound() # bound FILE: every claim holds but the guest image, which is not here
{
	{ mock dstack verify "$1" --development-root "$work/app/mock-root.der" --json || test $? = 5; } |
		jq -e '[.claims[] | select(.ok | not) | .name] == ["os_image"] and all(.claims[]; .anchor == "development")'
}
check "the whole verifies: chain, TCB, events, app" bound "$work/seeded.json"
post Attest '{"report_data":"abcd"}' | jq -r .attestation | xxd -r -p >"$work/seeded.bin"
check "Attest gives an envelope of the form V0 that does" bound "$work/seeded.bin"
post GetTlsKey '{"usage_ra_tls":true}' | jq -r '.certificate_chain[0]' >"$work/seeded.pem"
check "so does a certificate, whose quote is over its key" bound "$work/seeded.pem"
check "Tappd.TdxQuote's too" eval 'old TdxQuote "{\"report_data\":\"ab\"}" >"$work/tdx.json" && judged "$work/tdx.json"'
cp "$work/app/mock-root.der" "$work/root.der"
check "stops with a seed" stop
rm "$work/app"/mock-*
check "starts again" start
check "the seed alone decides the root and what is signed" eval 'cmp "$work/root.der" "$work/app/mock-root.der" &&
	is "$(post GetQuote "{\"report_data\":\"abcd\"}" | jq -r .quote)" "$(jq -r .quote "$work/seeded.json")"'
stop
seeded "$(printf '%064d' 2)"
check "another seed" start
check "is another root" eval '! cmp -s "$work/root.der" "$work/app/mock-root.der"'
check "under which the former does not verify" eval '! judged "$work/seeded.json"'
stop
rm "$work/app/dstack.toml"
cp "$work/v1.bin" "$work/app/attestation.bin"
check "starts on an attestation of the form V1" start
check "which gives the same answers" eval \
	'post Attest "{\"report_data\":\"$data\"}" | jq -r .attestation | xxd -r -p | cmp - "$real/attestation.bin"'
check "and stops" stop
truncate -s 9000 "$work/app/attestation.bin"
no "an attestation that is cut off" simulator.attestation
printf '\x00\x03\x00\x00' >"$work/app/attestation.bin"
no "an attestation of another TEE" simulator.attestation
rm "$work/app/attestation.bin"
no "no attestation" file.absent
cp "$real/attestation.bin" "$work/app/"
echo '{}' >"$work/app/appkeys.json"
no "keys that are none" agent.keys
check "nothing of it is in the agent" eval '! grep -q "THIS IS A SIMULATOR\|simulator.attestation" build/bin/dstack-guest-agent'
