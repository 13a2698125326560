#!/bin/bash
# dstack-guest-agent as a program, on a fake TDX tree: every method in both encodings, its certificates with a
# local CA, and what it must refuse while it goes on serving.
. "$(dirname "$0")/lib.sh"
tool=$PWD/build/tests/tools/faketdx
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

k256=d6e88992cdeeee35fe70b5db61ab66cdb191fb9b6ec9313757ef162dd7214d5d # upstream's simulator: known answers
app=5bb4ff9a3837357f19dc176407a5709c62eb6c56
instance=1691ed1b47506cad7d08834668691d88246f5b1f
export DCAP_TDX_QUOTE_CONFIGFS_PATH=$work/tsm DCAP_TDX_RTMR_SYSFS_PATH=$work/tsm
export DSTACK_CCEL_FILE=$PWD/tests/evidence/real/dstack/cc-eventlog/ccel.bin DSTACK_RUNTIME_LOG_DIR=$work/run
mkdir -p "$work/run"

dstack-softtee pki --dir "$work/pki"
"$tool" --tree "$work/tsm" --pki "$work/pki" --ccel "$DSTACK_CCEL_FILE" serve >"$work/tsm.log" 2>&1 &
pids+=($!)
until_true 5 grep -q ready "$work/tsm.log" || not_ok "the fake TDX tree is not ready"

printf '{"manifest_version":2,"name":"caf\\u00e9","runner":"docker-compose","docker_compose_file":"services: {}\\n"}' >"$work/app-compose.json"
compose=$(sha256sum <"$work/app-compose.json" | cut -c-64)
provider=$(printf '{"name":"local-sgx","id":"aa"}' | xxd -p -c 999)
"$tool" --version 1 emit system-preparing= app-id=$app compose-hash="$compose" instance-id=$instance boot-mr-done= \
	key-provider="$provider" storage-fs=65787434 system-ready= || not_ok "runtime events"

image=e61be43dd1cc6a6f5edefd7c51b608983780839b0000ce60dd99737dcffe09b9
jq -n --arg h $image '{kms_urls: [], vm_config: ({os_image_hash: $h, cpu_count: 1} | tojson)}' >"$work/sys-config.json"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" \
	-subj "/CN=App Root Cert" -days 30 2>/dev/null
(umask 077 && jq -n --arg k $k256 --rawfile key "$work/ca.key" --rawfile crt "$work/ca.crt" \
	'{k256_key: $k, k256_signature: "", disk_crypt_key: "00", ca_cert: $crt, gateway_app_id: "",
	  key_provider: {Local: {key: $key, mr: "aa"}}}' >"$work/appkeys.json")
jq -n --arg w "$work" '{default: {core: {data_disks: ["/"], tee: "tdx", gpu_attestation_file: "\($w)/gpu", keys_file: "\($w)/appkeys.json",
	compose_file: "\($w)/app-compose.json", sys_config_file: "\($w)/sys-config.json"}},
	internal: {address: "unix:\($w)/dstack.sock", folder_address: "unix:\($w)/run/dstack/dstack.sock"},
	"internal-v0": {address: "unix:\($w)/tappd.sock", folder_address: "unix:\($w)/run/dstack/tappd.sock"},
	external: {address: "tcp:127.0.0.1:0"}, "guest-api": {address: "unix:\($w)/guest.sock"}}' >"$work/agent.json"

agent=
start()
{
	: >"$work/agent.out"
	(umask 000 && LD_PRELOAD=$PWD/build/tests/tools/libmodespy.so MODESPY=$work/modes exec dstack-guest-agent -c "$work/agent.json") \
		>"$work/agent.out" 2>"$work/agent.log" &
	agent=$!
	pids+=("$agent")
	until_true 5 grep -q ready "$work/agent.out" || { cat "$work/agent.log" && return 1; }
	port=$(sed -n 's/.*address=tcp:.* port=\([0-9]*\).*/\1/p' "$work/agent.log")
}
raw() { curl -sS --unix-socket "$work/dstack.sock" "$@"; }
post() { raw -H 'Content-Type: application/json' -d "${2-null}" "http://x/$1"; }
status() { raw -o "$work/body" -w '%{http_code}' "$@"; }
is() { [ "$1" = "$2" ] || { echo "got: $1" && echo "want: $2" && return 1; }; }
has() { [ -n "$1" ] && jq -e "$2" <<<"$1" >/dev/null || { echo "$1" | head -c 800 && return 1; }; }

# Files that must not be taken.
chmod 644 "$work/appkeys.json"
refused "keys that others may read" file.mode dstack-guest-agent -c "$work/agent.json"
chmod 600 "$work/appkeys.json"
mv "$work/app-compose.json" "$work/real.json" && ln -s real.json "$work/app-compose.json"
refused "an app-compose.json that is a link" file.not_regular dstack-guest-agent -c "$work/agent.json"
mv "$work/real.json" "$work/app-compose.json"
check "the configuration is accepted by --check" dstack-guest-agent -c "$work/agent.json" --check
echo '{"default":{"core":{"nope":1}}}' >"$work/bad.json"
refused "an unknown key in the configuration" config.unknown_key dstack-guest-agent -c "$work/bad.json"
check "starts" start
check "the socket is for everybody" is "$(stat -c %a "$work/dstack.sock")" 777
check "it keeps no capability and can gain none" eval 'grep -q "^CapEff:[[:space:]]*0*$" /proc/$agent/status && grep -q "^NoNewPrivs:[[:space:]]*1$" /proc/$agent/status'

# Its processes: no capability, no way to one, a list of system calls; custody and the listener as users of their own.
sons() { cat /proc/"$1"/task/*/children; }
status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
part() # part NAME: its process; custody is forked first, then the listener's keeper, then the helper that powers off
{
	local all=($(sons "$agent"))
	case $1 in
	custody) echo "${all[0]}" ;;
	keeper) echo "${all[1]}" ;;
	external) sons "${all[1]}" | tr -d ' ' ;;
	power) echo "${all[2]}" ;;
	esac
}
confined()
{
	local name pid
	for name in custody keeper external power; do
		pid=$(part $name)
		is "$name $(status_of $pid CapPrm) $(status_of $pid CapBnd) $(status_of $pid NoNewPrivs) $(status_of $pid Seccomp)" \
			"$name 0000000000000000 0000000000000000 1 2" || return 1
	done
	is "$(status_of "$agent" CapBnd) $(status_of "$agent" Seccomp)" "0000000000000000 2"
}
own_users()
{
	[ "$(id -u)" = 0 ] || { grep -q "not started as root.*part=custody" "$work/agent.log" && grep -q "not started as root.*part=external" "$work/agent.log"; return; }
	is "$(status_of "$(part custody)" Uid) $(status_of "$(part external)" Gid)" "991	991	991	991 990	990	990	990" &&
		is "$(stat -c '%u %a' "$work/appkeys.json")" "991 600" && ! setpriv --reuid 990 --regid 990 --clear-groups cat "$work/appkeys.json" &&
		! setpriv --bounding-set -all --inh-caps -all cat "$work/appkeys.json" # what the main process is: root without capabilities
}
sockets_of() { find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | sort; }
check "each of its processes is confined" confined
check "custody and the external listener are users of their own, and the key file is custody's" own_users
apart()
{
	[ "$(sockets_of "$(part external)" | wc -l)" -ge 2 ] &&
		is "$(sockets_of "$(part external)" | comm -12 - <({ sockets_of "$agent" && sockets_of "$(part custody)"; } | sort))" ""
}
check "the external listener has no socket of custody's or of the main process" apart
holds() # holds PID: are the app's root key or its CA's in the memory of the process, as bytes, hex or PEM?
{
	python3 - "$1" "$k256" "$(openssl pkey -in "$work/ca.key" -outform DER | xxd -s 36 -l 32 -p -c 99)" \
		"$(sed -n 2p "$work/ca.key")" <<-'EOF'
		import re, sys
		k, ca, pem = bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3]), sys.argv[4].encode()
		assert len(k) == len(ca) == 32 and len(pem) == 64
		memory, found = open(f"/proc/{sys.argv[1]}/mem", "rb", 0), False
		for line in open(f"/proc/{sys.argv[1]}/maps"):
		    m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
		    if not m or "[v" in line:
		        continue
		    start, end = (int(x, 16) for x in m.groups())
		    try:
		        memory.seek(start)
		        data = memory.read(end - start)
		    except OSError:
		        continue
		    found = found or any(x in data for x in (k, k.hex().encode(), ca, ca[::-1], pem))
		sys.exit(not found)
	EOF
}
root_keys()
{
	[ "$(id -u)" = 0 ] || return 0 # memory of others is root's to read
	holds "$(part custody)" && ! holds "$agent" && ! holds "$(part external)" && ! holds "$(part keeper)" && ! holds "$(part power)"
}
post GetTlsKey '{}' >/dev/null && post Sign '{"algorithm":"ed25519","data":"00"}' >/dev/null
check "after keys, signatures and certificates the root keys are in custody's memory and in no other" root_keys
again() { local pid=$(part external) && [ -n "$pid" ] && [ "$pid" != "$1" ] && curl -sS "http://127.0.0.1:$port/prpc/Version" | grep -q version; }
falls() # The listener is killed: containers do not notice, and it is back
{
	local pid=$(part external)
	kill -SEGV "$pid" && has "$(post GetKey '{}')" '.key | length == 64' && until_true 5 again "$pid"
}
check "a fault in the external listener costs strangers a second" falls

# GetKey: upstream's known answers.
key=$(post GetKey '{"path":"/","purpose":"test"}')
check "GetKey gives the known key" is "$(jq -r .key <<<"$key")" f6c1ed94488394d78e0a4e5ab75d62e9f085d73b0b555d0614fb90ca13d9464d
check "signed by the app's root key" is "$(jq -r '.signature_chain[0]' <<<"$key")" \
	0b0fa470162c54f108850d143442c48d43f1cc42983b8e9c589679345b831d2b5bb5b97b21c2d2d036520209deae8b6111318c68eafc786190d6edc52e5cf0c201
check "GetKey without arguments" is "$(post GetKey '{}' | jq -r .key)" aa221ae548b5a8f52fcb8687cfd873712f6a1232b2717e5ee3d58ab74f21905b
check "GetKey by GET" is "$(raw "http://x/GetKey?path=test%2Fwallet" | jq -r .key)" 143a1b5adb60fb8a1b39c908d98bdecf11e748f79034e09a4af94712baa93cd5
check "GetKey for ed25519 has a statement of its own" has "$(post GetKey '{"path":"/","purpose":"test","algorithm":"ed25519"}')" \
	'.key[:8] == "f6c1ed94" and .signature_chain[0][:8] != "0b0fa470"'
check "GetKey in protobuf" is "$(printf '\x0a\x01/' | raw --data-binary @- http://x/GetKey | xxd -p -c 999 | cut -c-12)" 0a20f6c1ed94
check "the socket in its folder serves the same" is "$(curl -sS --unix-socket "$work/run/dstack/dstack.sock" -d '{"path":"/"}' \
	'http://x/prpc/DstackGuest.GetKey?json' | jq -r .key)" "$(jq -r .key <<<"$key")"

# Sign and Verify.
hello=$(printf 'Test message for signing' | xxd -p -c 99)
signed=$(post Sign "{\"algorithm\":\"secp256k1\",\"data\":\"$hello\"}")
check "Sign gives the known signature" has "$signed" '(.signature | startswith("673932366ab54529")) and (.signature_chain | length == 3) and .signature_chain[0] == .signature'
valid() { post Verify "$(jq -c --arg d "$1" '{algorithm: "secp256k1", data: $d, signature, public_key}' <<<"$signed")" | jq -c .; }
check "Verify accepts it" is "$(valid "$hello")" '{"valid":true}'
check "and nothing else" is "$(valid "${hello}00")" '{"valid":false}'

# Quotes.
data=$(printf '%0128d' 7)
quote=$(post GetQuote "{\"report_data\":\"0x$data\"}")
check "GetQuote binds the report data" is "$(jq -r .quote <<<"$quote" | cut -c1137-1264)" "$data"
check "GetQuote pads short report data" is "$(post GetQuote '{"report_data":"ab"}' | jq -r .report_data)" "ab$(printf '%0126d' 0)"
check "GetQuote shows the app's events with digests" has "$quote" \
	'.event_log | fromjson | map(select(.imr == 3)) | length == 8 and all(.digest | length == 96) and .[1].event == "app-id"'
check "boot events have no payload but ACPI DATA" has "$quote" \
	'.event_log | fromjson | map(select(.imr != 3 and .event_payload != "")) | all(.event | startswith("acpi-"))'
check "GetQuote names the machine" has "$quote" '.vm_config | fromjson | .cpu_count == 1'
check "GetQuote has no attestation member" has "$quote" 'has("attestation") | not'
check "RTMR3 of the quote is that of the register" is "$(jq -r .quote <<<"$quote" | cut -c1041-1136)" "$(xxd -p -c 999 "$work/tsm/rtmr3:sha384")"
hex() { head -c "$1" /dev/zero | xxd -p -c 0; }
refuses() { has "$(post "$1" "@$2")" ".code == \"$3\""; }
ga_05_report_data() # Spec 10: up to 64 bytes, zeros behind them; more is an error that says so
{
	local n
	for n in 0 63 64 65 1000000; do
		printf '{"report_data":"%s"}' "$(hex "$n")" >"$work/data.json"
		if [ "$n" -le 64 ]; then
			has "$(post GetQuote "@$work/data.json")" '(.report_data | length == 128) and (.quote | length > 2000)' || return 1
		else
			refuses GetQuote "$work/data.json" agent.report_data && refuses Attest "$work/data.json" agent.report_data || return 1
		fi
	done
}
check "GA-05: report data of 0, 63, 64, 65 and 1000000 bytes" ga_05_report_data
ch_02_raw_quotes() # Bytes of a system domain are refused wherever raw bytes are taken; the hash that binds an RA-TLS key is not, and
{ # what it yields is this app's identity: the same RTMR3, the same app-id, whatever the bytes were meant to say
	local system own got
	system=$(printf 'dstack-system-1:' | xxd -p)$(printf '%096d' 5)
	for at in dstack.sock/GetQuote dstack.sock/Attest dstack.sock/prpc/DstackGuest.GetQuote tappd.sock/prpc/Tappd.RawQuote tappd.sock/GetQuote; do
		has "$(curl -sS --unix-socket "$work/${at%%/*}" -d "{\"report_data\":\"$system\"}" "http://x/${at#*/}?json")" \
			'.code == "agent.reserved" and (has("quote") or has("attestation") | not)' || return 1
	done
	has "$(curl -sS --unix-socket "$work/tappd.sock" -d "{\"report_data\":\"$system\",\"hash_algorithm\":\"raw\"}" 'http://x/prpc/Tappd.TdxQuote?json')" '.code == "agent.reserved"' || return 1
	has "$(post GetQuote "{\"report_data\":\"${system:0:32}\"}")" '.code == "agent.reserved"' || return 1
	own=$( (printf 'ratls-cert:' && openssl pkey -in "$work/ca.key" -pubout -outform DER) | sha512sum | cut -c-128)
	got=$(post GetQuote "{\"report_data\":\"$own\"}")
	is "$(jq -r .quote <<<"$got" | cut -c1137-1264)" "$own" && is "$(jq -r .quote <<<"$got" | cut -c1041-1136)" "$(xxd -p -c 999 "$work/tsm/rtmr3:sha384")" &&
		has "$got" ".event_log | fromjson | map(select(.event == \"app-id\")) | .[0].event_payload == \"$app\""
}
check "CH-02: raw quotes speak for the app and never for the system" ch_02_raw_quotes
attestation=$(post Attest '{"report_data":"cd"}' | jq -r .attestation)
check "Attest gives a V0 envelope" is "${attestation:0:4}" 0000
check "which holds the report data" grep -q "cd$(printf '%0126d' 0)" <<<"$attestation"

# Info and Version.
info=$(post Info null)
check "Info names app, instance and compose hash" has "$info" \
	".app_id == \"$app\" and .instance_id == \"$instance\" and .compose_hash == \"$compose\" and .os_image_hash == \"$image\""
check "Info is ASCII" eval '! post Info null | LC_ALL=C grep -q "[^ -~]"'
check "Info has the app's name" has "$info" '.app_name == "café"'
check "tcb_info is JSON with the registers and the compose text" has "$info" \
	'.tcb_info | fromjson | (.mrtd | length == 96) and (.rtmr3 | length == 96) and (.app_compose | fromjson | .runner == "docker-compose") and (.event_log | length > 8)'
check "the key provider's text" has "$info" '.key_provider_info | fromjson | .name == "local-sgx"'
demo() { post Info null | jq -e '.app_cert | startswith("-----BEGIN")'; }
check "the demonstration certificate appears" until_true 10 demo
before=$(cat "$work/tsm/generation")
for _ in 1 2 3 4 5; do post Info null >/dev/null; done
check "Info does not ask the TEE again" is "$(cat "$work/tsm/generation")" "$before"
"$tool" --version 1 emit late=00
check "until an event moves RTMR3" has "$(post Info null)" ".tcb_info | fromjson | .rtmr3 == \"$(xxd -p -c 999 "$work/tsm/rtmr3:sha384")\""
check "Version" has "$(post Version)" '(.version | test("^[0-9]+\\.[0-9]+")) and (.rev | length > 0)'
external() { curl -sS -D "$work/head" "http://127.0.0.1:$port/prpc/$1"; }
check "Worker.Info on the external listener" has "$(external Worker.Info)" ".app_id == \"$app\" and (.tcb_info | length > 100)"
check "with the version in a header" grep -qi '^X-App-Version: v[0-9]' "$work/head"
check "Worker.Version" has "$(external Version)" '.version'
host() { curl -sS --unix-socket "$work/guest.sock" -d '{}' "http://x/api/$1?json"; }
check "GuestApi tells the host of the machine" has "$(host SysInfo)" '.num_cpus >= 1 and .total_memory > .used_memory and .uptime > 0 and .loadavg_one >= 0'
check "and of its networks" has "$(host NetworkInfo)" '(.interfaces | all(.name | test("^(dstack-wg0|enp|eth)"))) and .wg_info == ""'
check "and who it is" has "$(host Info)" ".app_id == \"$app\" and .instance_id == \"$instance\" and .version != \"\""
check "but no keys" has "$(host GetKey)" '.code == "rpc.unknown_method"'
check "no /metrics unless the app says so, and the version on every reply" eval \
	'[ "$(curl -sS -o /dev/null -D "$work/head" -w "%{http_code}" "http://127.0.0.1:$port/metrics")" = 404 ] && grep -qi "^x-app-version: v" "$work/head"'
ga_02_external() # every method of every service, under every name it might have: refused by name; the public three: served
{
	local m at
	for m in GetTlsKey GetKey GetQuote Attest EmitEvent GpuInfo Sign Verify DeriveKey DeriveK256Key TdxQuote RawQuote \
		SysInfo NetworkInfo ListContainers Shutdown; do
		for at in "prpc/$m" "prpc/Worker.$m" "prpc/Worker.Worker.$m" "prpc/DstackGuest.$m" "prpc/Tappd.$m" "prpc/GuestApi.$m"; do
			echo "url = \"http://127.0.0.1:$port/$at?json\""
		done
	done | curl -sS -K - -d '{}' -w '\n%{http_code}\n' | grep -E '"code"|^[0-9]+$' | sort | uniq -c >"$work/ga02"
	is "$(sed 's/^ *//' "$work/ga02")" '96   "code": "rpc.unknown_method"'$'\n''96 400' || return 1
	for m in GetKey GetQuote Info Version; do
		for at in "$m" "api/$m" "v0/$m" "v1/$m" "prpc/v1/$m" "DstackGuest.$m" "prpc/../$m" "prpc//$m"; do
			echo "url = \"http://127.0.0.1:$port/$at?json\""
		done
	done | curl -sS --path-as-is -K - -d '{}' -w '\n%{http_code}\n' | grep -E '"code"|^[0-9]+$' | sort | uniq -c >"$work/ga02"
	is "$(sed 's/^ *//' "$work/ga02")" '32   "code": "rpc.not_found"'$'\n''32 404' || return 1
	for m in Info Version 'GetAttestationForAppKey?algorithm=ed25519'; do
		for at in "prpc/$m" "prpc/Worker.$m" "prpc/Worker.Worker.$m"; do curl -sSf -o /dev/null "http://127.0.0.1:$port/$at" || return 1; done
	done
}
check "GA-02: nothing but Worker's methods answers there" ga_02_external
check "no keys on the external listener" has "$(external GetKey)" '.error == "Service not found: GetKey"'

# Certificates.
tls=$(post GetTlsKey '{"subject":"x.test","alt_names":["x.test","10.1.2.3"],"usage_ra_tls":true,"usage_server_auth":true,"with_app_info":true}')
jq -r '.certificate_chain[0]' <<<"$tls" >"$work/leaf.crt"
jq -r .key <<<"$tls" >"$work/leaf.key"
text=$(openssl x509 -in "$work/leaf.crt" -noout -text)
check "GetTlsKey: the chain holds" openssl verify -CAfile "$work/ca.crt" -purpose sslserver "$work/leaf.crt"
check "the key is the certificate's" is "$(openssl pkey -in "$work/leaf.key" -pubout)" "$(openssl x509 -in "$work/leaf.crt" -noout -pubkey)"
check "names" grep -q 'DNS:x.test, IP Address:10.1.2.3' <<<"$text"
for oid in 1 2 4 8 9; do check "extension $oid is there" grep -q "1.3.6.1.4.1.62397.1.$oid:" <<<"$text"; done
check "client usage only when asked" eval '! grep -q "TLS Web Client" <<<"$text"'
want=$( (printf 'ratls-cert:' && openssl x509 -in "$work/leaf.crt" -noout -pubkey | openssl pkey -pubin -outform DER) | sha512sum | cut -c-128)
check "the evidence is over the certificate's key" eval 'openssl x509 -in "$work/leaf.crt" -outform DER | xxd -p -c 99999 | grep -q "$want"'
plain=$(post GetTlsKey '{"usage_client_auth":true,"not_before":1700000000,"not_after":4102444800}')
jq -r '.certificate_chain[0]' <<<"$plain" >"$work/plain.crt"
check "no evidence unless asked, empty subject, given validity" eval \
	'openssl x509 -in "$work/plain.crt" -noout -text | grep -q "Not Before: Nov 14 22:13:20 2023" && ! openssl x509 -in "$work/plain.crt" -noout -text | grep -q "62397.1.8"'
ga_06_certificates() # what no certificate may be made of: the code of each, and no key with it
{
	local code bad
	: >"$work/ga06"
	jq -nrc '("agent.validity" as $v | {not_before: 2000000000, not_after: 1900000000}, {not_before: 5, not_after: 5}, {not_after: 9223372036854775807},
			{not_before: 9223372036854775807} | [$v, .]),
		("agent.name" as $n | {alt_names: [range(129) | "n\(.).test"]}, {alt_names: [range(20000) | "n\(.).test"]}, {alt_names: [""]},
			{alt_names: ["x" * 254]}, {alt_names: ["a\nb.test"]}, {alt_names: ["caf\u00e9.test"]}, {alt_names: ["a b.test"]},
			{subject: ("s" * 254)}, {alt_names: ["*"]}, {alt_names: ["*."]}, {alt_names: ["*.*.test"]}, {alt_names: ["a.*.test"]},
			{alt_names: ["a*.test"]}, {alt_names: ["*a.test"]} | [$n, .]),
		("rpc.json" as $j | {alt_names: ["a\u0000b.test"]}, {not_before: -1}, {not_after: 1.5}, {not_after: "1"}, {not_after: 18446744073709551616} | [$j, .])
		| .[0] + " " + (.[1] | tojson)' |
		while read -r code bad; do
			echo "$bad" >"$work/bad.json"
			[ "$(status -d "@$work/bad.json" 'http://x/GetTlsKey?json')" = 400 ] &&
				has "$(cat "$work/body")" ".code == \"$code\" and (has(\"key\") | not)" ||
				{ echo "want $code: ${bad:0:100}: $(head -c 300 "$work/body")" && echo 1 >>"$work/ga06"; }
		done
	[ ! -s "$work/ga06" ] && has "$(post GetTlsKey '{"alt_names":["*.x.test"]}')" '.certificate_chain | length == 2' &&
		has "$(post GetTlsKey "$(jq -nc '{alt_names: [range(128) | "n\(.).test"]}')")" '.certificate_chain | length == 2'
}
check "GA-06: inverted validity, huge SAN lists and wildcards" ga_06_certificates
made() { cat "$work/tsm/generation"; } # quotes so far
ga_07_flood() # one client floods; another waits for a turn and not for the flood, keys and Info for nothing
{
	local i n before most=0 keys=0 info=0 flood
	mkdir -p "$work/flood"
	for i in $(seq 1000); do printf 'url = "http://x/GetQuote?report_data=%04x"\noutput = "%s"\n' "$i" "$work/flood/$i"; done >"$work/flood.conf"
	printf 30 >"$work/tsm/delay"
	before=$(made)
	curl -sS --unix-socket "$work/dstack.sock" -Z --parallel-immediate --parallel-max 300 -K "$work/flood.conf" >"$work/flood.err" 2>&1 &
	flood=$!
	until [ "$(made)" -gt $((before + 5)) ]; do kill -0 $flood || return 1; done # it is under way
	for i in $(seq 8); do
		before=$(made)
		has "$(post GetQuote "{\"report_data\":\"0$i\"}")" '.quote | length > 2000' || return 1
		n=$(($(made) - before)) && [ $n -le $most ] || most=$n
		before=$(made)
		has "$(raw "http://x/GetKey?path=flood")" '.key | length == 64' && has "$(post Sign '{"algorithm":"k256","data":"00"}')" '.signature' || return 1
		n=$(($(made) - before)) && [ $n -le $keys ] || keys=$n
		[ $i != 4 ] || "$tool" --version 1 emit "moved=0$i" # Info needs a quote of its own, before the flood's
		raw --max-time 0.5 -d null 'http://x/Info?json' >"$work/body" || info=1
		has "$(cat "$work/body")" ".tcb_info | fromjson | .rtmr3 == \"$(xxd -p -c 999 "$work/tsm/rtmr3:sha384")\"" || return 1
	done
	kill $flood || { echo "the flood was over too early" && return 1; }
	wait $flood
	before=$(made) # who has left is not served any more
	has "$(post GetQuote '{}')" '.quote | length > 2000' || return 1
	n=$(($(made) - before))
	rm "$work/tsm/delay"
	find "$work/flood" -type f -size +0 -exec jq -r 'if .quote then "made" else .code end' {} + | sort | uniq -c >"$work/flood.out"
	cat "$work/flood.out"
	echo "the other client waited for at most $most quotes, two calls for keys took $keys, Info over 0.5 s: $info, after the flood $n"
	# Two were being made, one is the flood's turn, then its own; in one line it would have waited for 256.
	[ $most -le 10 ] && [ $keys -le 20 ] && [ $info = 0 ] && [ $n -le 5 ] && kill -0 "$agent" &&
		grep -q ' made$' "$work/flood.out" && grep -q ' rpc.busy$' "$work/flood.out" && ! grep -qvE ' (made|rpc.busy)$' "$work/flood.out"
}
check "GA-07: a flood of quotes starves nobody" ga_07_flood
check "every call gives a new key" eval '[ "$(jq -r .key <<<"$plain")" != "$(post GetTlsKey "{}" | jq -r .key)" ]'

# Tappd, for containers of before 0.5: by its own socket, which knows the newer methods too.
tappd() { curl -sS --unix-socket "$work/tappd.sock" -H 'Content-Type: application/json' -d "${2-null}" "http://x/$1"; }
old='{"path":"a/b","subject":"old.test","alt_names":["old.test"],"usage_server_auth":true}'
one=$(tappd prpc/Tappd.DeriveKey "$old")
check "DeriveKey: the same key at the same path" is "$(tappd prpc/DeriveKey "$old" | jq -r .key)" "$(jq -r .key <<<"$one")"
check "another at another path" eval '[ "$(jq -r .key <<<"$one")" != "$(tappd prpc/Tappd.DeriveKey "{\"path\":\"a/c\"}" | jq -r .key)" ]'
check "another each time with random_seed" eval '[ "$(jq -r .key <<<"$one")" != "$(tappd prpc/Tappd.DeriveKey "${old%\}},\"random_seed\":true}" | jq -r .key)" ]'
jq -r '.certificate_chain[0]' <<<"$one" >"$work/old.crt"
check "its certificate holds" openssl verify -CAfile "$work/ca.crt" -purpose sslserver -verify_hostname old.test "$work/old.crt"
check "DeriveK256Key is GetKey" is "$(tappd prpc/Tappd.DeriveK256Key '{"path":"/","purpose":"test"}' | jq -c '[.k256_key, .k256_signature_chain]')" \
	"$(jq -c '[.key, .signature_chain]' <<<"$key")"
bound() { jq -r .quote | cut -c1137-1264; }
content=$(printf 'test content' | xxd -p)
asked=$(tappd prpc/Tappd.TdxQuote "{\"report_data\":\"$content\"}")
check "TdxQuote binds the tagged hash" is "$(bound <<<"$asked")" \
	7ea0b744ed5e9c0c83ff9f575668e1697652cd349f2027cdf26f918d4c53e8cd50b5ea9b449b4c3d50e20ae00ec29688d5a214e8daff8a10041f5d624dae8a01
check "and says how" has "$asked" '.hash_algorithm == "sha512" and .prefix == "app-data" and (.event_log | fromjson | length > 8)'
check "with a tag and a hash of one's own" is "$(tappd prpc/Tappd.TdxQuote "{\"report_data\":\"$content\",\"hash_algorithm\":\"sha256\",\"prefix\":\"mine\"}" | bound)" \
	"$(printf 'mine:test content' | sha256sum | cut -c-64)$(printf '%064d' 0)"
check "raw" is "$(tappd prpc/Tappd.TdxQuote "{\"report_data\":\"$data\",\"hash_algorithm\":\"raw\"}" | bound)" "$data"
check "RawQuote" is "$(tappd prpc/Tappd.RawQuote "{\"report_data\":\"$data\"}" | jq -r '.quote[1136:1264] + .hash_algorithm + .prefix')" "${data}raw"
check "RawQuote of fewer than 64 bytes is refused" has "$(tappd prpc/Tappd.RawQuote '{"report_data":"ab"}')" '.error | startswith("invalid content length")'
check "an unknown hash is refused" has "$(tappd prpc/Tappd.TdxQuote '{"hash_algorithm":"md5"}')" '.code == "agent.hash"'
check "Info on tappd.sock" has "$(tappd prpc/Tappd.Info)" ".app_id == \"$app\""
check "GetKey on tappd.sock, which the JS client's TappdClient asks there" is "$(tappd GetKey '{"path":"/"}' | jq -r .key)" "$(jq -r .key <<<"$key")"
check "its socket in the folder" is "$(curl -sS --unix-socket "$work/run/dstack/tappd.sock" 'http://x/prpc/Tappd.Version' | jq -r .version)" "$(post Version | jq -r .version)"

ga_05_hash_matrix() # what each algorithm makes of the content, whatever its size
{
	local h want name
	head -c 1000000 /dev/zero | xxd -p -c 0 >"$work/mega.hex"
	printf '{"report_data":"%s","hash_algorithm":"sha384","prefix":"m"}' "$(cat "$work/mega.hex")" >"$work/mega.json"
	is "$(tappd prpc/Tappd.TdxQuote "@$work/mega.json" | bound)" "$( (printf m: && head -c 1000000 /dev/zero) | sha384sum | cut -c-96)$(printf '%032d' 0)" || return 1
	for h in sha256 sha384 sha512 sha3-256 sha3-384 sha3-512 keccak256 keccak384 keccak512; do
		name=$(tappd prpc/Tappd.TdxQuote "{\"report_data\":\"$content\",\"hash_algorithm\":\"$h\"}")
		is "$(jq -r .hash_algorithm <<<"$name")" "$h" || return 1
		case $h in
		keccak*) [[ $(bound <<<"$name") =~ ^[0-9a-f]{64} ]] || return 1 ;; # OpenSSL has none: see the unit test
		*)
			want=$(printf 'app-data:test content' | openssl dgst "-$h" -r | cut -d' ' -f1)
			is "$(bound <<<"$name" | cut -c-${#want})" "$want" || return 1
			;;
		esac
	done
	for h in SHA256 sha1 md5 keccak 'sha512 '; do
		has "$(tappd prpc/Tappd.TdxQuote "{\"report_data\":\"00\",\"hash_algorithm\":\"$h\"}")" '.code == "agent.hash"' || return 1
	done
	for h in 0 63 65 1000000; do
		printf '{"report_data":"%s","hash_algorithm":"raw"}' "$(head -c $((2 * h)) "$work/mega.hex")" >"$work/raw.json"
		has "$(tappd prpc/Tappd.TdxQuote "@$work/raw.json")" '.code == "agent.report_data" and (.error | startswith("invalid content length"))' || return 1
	done
}
check "GA-05: every hash algorithm, a megabyte, and what is none" ga_05_hash_matrix

# The app's signing key, for strangers; made once.
forkey() { curl -sS "http://127.0.0.1:$port/prpc/Worker.GetAttestationForAppKey?algorithm=$1"; }
check "GetAttestationForAppKey binds the key that signs" is "$(forkey secp256k1 | jq -r .report_data)" \
	"$(printf 'dip1::secp256k1c-pk:%s' "$(jq -r .public_key <<<"$signed" | xxd -r -p | base64 -w 0 | tr +/ -_)" | xxd -p -c 99)"
before=$(cat "$work/tsm/generation")
check "for ed25519 too" has "$(forkey ed25519)" '.report_data | startswith("646970313a3a656432353531392d706b3a")'
for _ in 1 2 3 4 5; do forkey ed25519 >/dev/null && forkey k256 >/dev/null; done
check "many ask, the TEE is asked once" eval 'echo "$before, now $(cat "$work/tsm/generation")"; [ "$(cat "$work/tsm/generation")" -le $((before + 1)) ]'
check "another algorithm is refused" has "$(forkey secp256k1_prehashed)" '.error == "Unsupported algorithm"'

# GpuInfo; EmitEvent is off.
check "GpuInfo without a GPU" is "$(post GpuInfo)" '{"attestation":""}'
printf '{"gpu":"\n"}' >"$work/gpu"
check "GpuInfo is the file's text" is "$(post GpuInfo | jq -c .attestation)" '"{\"gpu\":\"\n\"}"'
check "EmitEvent is unknown unless configured" has "$(post EmitEvent '{"event":"mine","payload":"00"}')" '.error == "Service not found: EmitEvent"'

# What must be refused, each with its reason; the agent goes on.
no() # no TEXT CODE CURL_ARGUMENTS…
{
	local text=$1 code=$2
	shift 2
	[ "$(status "$@")" = 400 ] && grep -qF "$code" "$work/body" && ok "refused: $text ($code)" && return
	not_ok "refused: $text: $(head -c 300 "$work/body")"
}
json=(-H 'Content-Type: application/json')
no "garbage as JSON" rpc.json "${json[@]}" -d 'garbage' http://x/GetKey
head -c 4096 /dev/urandom >"$work/noise"
no "garbage as protobuf" rpc.protobuf --data-binary @"$work/noise" http://x/GetKey
no "a number for a string" rpc.json "${json[@]}" -d '{"path":1}' http://x/GetKey
no "a string for a list" rpc.json "${json[@]}" -d '{"alt_names":"x"}' http://x/GetTlsKey
no "a string for a boolean" rpc.json "${json[@]}" -d '{"usage_ra_tls":"true"}' http://x/GetTlsKey
no "null for a string" rpc.json "${json[@]}" -d '{"path":null}' http://x/GetKey
no "an array for the request" rpc.json "${json[@]}" -d '[]' http://x/GetKey
no "odd hex" rpc.json "${json[@]}" -d '{"report_data":"abc"}' http://x/GetQuote
no "65 bytes of report data" 'Report data is too long' "${json[@]}" -d "{\"report_data\":\"${data}00\"}" http://x/GetQuote
no "an unknown algorithm" 'Unsupported algorithm' "${json[@]}" -d '{"algorithm":"secp256k1_prehashed"}' http://x/GetKey
no "an empty algorithm to sign with" 'Unsupported algorithm' "${json[@]}" -d '{"data":"00"}' http://x/Sign
no "a digest that is none" 'requires a 32-byte digest, but received 1 bytes' "${json[@]}" -d '{"algorithm":"secp256k1_prehashed","data":"00"}' http://x/Sign
no "a malformed public key" key.public "${json[@]}" -d '{"algorithm":"ed25519","data":"00","public_key":"00"}' http://x/Verify
no "a validity that ends before it begins" 'not_before must be earlier' "${json[@]}" -d '{"not_before":2,"not_after":2}' http://x/GetTlsKey
no "a name that is not ASCII" agent.name "${json[@]}" -d '{"alt_names":["caf\u00e9"]}' http://x/GetTlsKey
no "an unknown method" 'Service not found: Sing' "${json[@]}" -d '{}' http://x/Sing
head -c $((10 * 1024 * 1024 + 1)) /dev/zero >"$work/large"
no "10 MiB + 1" 'payload too large' "${json[@]}" -H Expect: --data-binary @"$work/large" http://x/GetKey
truncate -s $((10 * 1024 * 1024)) "$work/large"
no "10 MiB of nothing" rpc.json "${json[@]}" -H Expect: --data-binary @"$work/large" http://x/GetKey
check "a path that is none" is "$(status http://x/a/b)" 404
printf '{"path":"%s"}' "$(head -c 100000 /dev/zero | tr '\0' '[')" >"$work/long"
no "a path of 100,000 bytes" agent.path "${json[@]}" -d @"$work/long" http://x/GetKey
for i in $(seq 64); do head -c 3000 /dev/urandom | timeout 2 socat - UNIX-CONNECT:"$work/dstack.sock" >/dev/null 2>&1; done
check "after all that it still serves" is "$(post GetKey '{"path":"/"}' | jq -r .key)" "$(jq -r .key <<<"$key")"
check "the same process" kill -0 "$agent"
check "no key in its log" eval '! grep -qi "$k256\|f6c1ed94\|PRIVATE KEY" "$work/agent.log"'

# Quotes go on when many ask at once; an answer is whole though the client half-closes.
for _ in $(seq 8); do post Attest '{"report_data":"ee"}' >>"$work/many" & many[$_]=$!; done
wait "${many[@]}"
check "eight at once" is "$(grep -o '"attestation":"0000' "$work/many" | wc -l)" 8
reply=$(printf 'GET /Version HTTP/1.1\r\nHost: x\r\n\r\n' | timeout 3 socat -t 3 - UNIX-CONNECT:"$work/dstack.sock")
check "half-close right after the request" grep -q '"version"' <<<"$reply"

# The published SDK, as it is.
cp -r tests/e2e/agent-npm "$work/npm"
check "the JS SDK installs from its lock" npm ci --prefix "$work/npm" --no-audit --no-fund --ignore-scripts --loglevel=error
(cd "$work/npm" && node sdk.js "$work/dstack.sock" "$work/tappd.sock") || failures=$((failures + 1))

op_01_agent() # Every agent here ran with umask 000, under a spy of what it creates: no file at all, no key's above all; the sockets are as wanted.
{
	grep -q libmodespy "/proc/$agent/maps" && [ ! -s "$work/modes" ] &&
		is "$(stat -c %a "$work/appkeys.json" "$work/dstack.sock" "$work/run/dstack" "$work/guest.sock" | tr '\n' ' ')" "600 777 755 600 "
}
check "OP-01: with umask 000 nothing of it is open to others" op_01_agent
kill "$agent"
check "stops on SIGTERM" wait "$agent"
sed -i "s#unix:$work/guest.sock#vsock:77:8000#" "$work/agent.json"
sed -i 's/"name":"caf\\u00e9"/"name":"x","public_tcbinfo":false,"public_sysinfo":true/' "$work/app-compose.json"
check "starts again where its socket lay" start
check "public_tcbinfo = false hides the machine outside" has "$(external Info)" '.tcb_info == "" and .vm_config == ""'
check "without vsock (here: of another machine) there is no GuestApi, but an agent" grep -q "warn .*no GuestApi" "$work/agent.log"
check "public_sysinfo = true shows the machine in numbers" eval \
	'curl -sS -D "$work/head" "http://127.0.0.1:$port/metrics" | grep -q "^system_load_average_1m [0-9]*\.[0-9][0-9]$" && grep -qi "^x-app-version: v" "$work/head"'
mv "$work/agent.json" "$work/off.json" && jq '.default.core.emit_event = true' "$work/off.json" >"$work/agent.json"
check "but not inside" has "$(post Info)" '.tcb_info != ""'
kill "$agent" && wait "$agent"

# Keys are served with custody or not at all.
check "starts to lose custody" start
kill -KILL "$(part custody)"
check "without custody the agent ends, for its supervisor to see" eval '! wait "$agent" && grep -q "code=agent.part_ended" "$work/agent.log"'

# EmitEvent, where it is on.
check "starts with emit_event" start
rtmr3=$(xxd -p -c 999 "$work/tsm/rtmr3:sha384")
check "EmitEvent answers null" is "$(post EmitEvent '{"event":"mine","payload":"c0de"}')" null
check "and Info has it at once" has "$(post Info)" ".tcb_info | fromjson | .rtmr3 == \"$(xxd -p -c 999 "$work/tsm/rtmr3:sha384")\" and .event_log[-1].event == \"mine\""
check "RTMR3 has the event" is "$(xxd -p -c 999 "$work/tsm/rtmr3:sha384")" "$( (printf %s "$rtmr3" | xxd -r -p &&
	(printf '\x01\x00\x00\x08:mine:\xc0\xde' | sha384sum | cut -c-96 | xxd -r -p)) | sha384sum | cut -c-96)"
check "and so has the log" has "$(post GetQuote '{}')" '.event_log | fromjson | .[-1] | .event == "mine" and .event_payload == "c0de"'
for name in app-id system-ready ''; do
	check "the name '$name' is refused" has "$(post EmitEvent "{\"event\":\"$name\"}")" '.code == "agent.event_name"'
done
check "the C library's example does everything, its event too" eval 'DSTACK_SIMULATOR_ENDPOINT=$work/dstack.sock dstack-example >"$work/example.out" &&
	grep -q "^event  *recorded in RTMR3" "$work/example.out" && grep -q "^gpus  *{.gpu" "$work/example.out"'
check "as the log shows" has "$(post GetQuote '{}')" '.event_log | fromjson | .[-1] | .event == "example-ran" and .event_payload == "6f6e6365"'
check "a name with a colon is refused" has "$(post EmitEvent '{"event":"a:b"}')" '.code == "runtime.name"'
kill "$agent" && wait "$agent"

# Small limits, and a TEE that is slow.
jq '.default.core.quotes_waiting = 2 | .default.core.quote_wait = 1 | .external.rate = 1 | .external.burst = 5 | .default.core.legacy_extensions = "none"' \
	"$work/off.json" >"$work/agent.json"
check "starts with small limits" start
ga_07_bounds() # two are in the making, two wait and one too many is refused; who waits too long is told
{
	local i asked=()
	printf 3000 >"$work/tsm/delay"
	for i in 1 2 3 4 5; do
		curl -sS --unix-socket "$work/dstack.sock" -o "$work/bound.$i" "http://x/GetQuote?report_data=0$i" &
		asked+=($!)
		sleep 0.1
	done
	wait "${asked[@]:2}"
	is "$(jq -r .code "$work"/bound.[345] | sort | uniq -c | tr -s ' ')" " 1 rpc.busy"$'\n'" 2 rpc.wait_timeout" && is "$(jq -r .code "$work/bound.5")" rpc.busy
	i=$?
	[ $i = 0 ] || head -c 150 "$work"/bound.[345]
	rm "$work/tsm/delay"
	kill "${asked[@]:0:2}"
	wait "${asked[@]:0:2}"
	return $i
}
check "GA-07: the queue is bounded, and so is waiting" ga_07_bounds
for i in 1 2 3 4 5 6 7 8 9; do curl -sS -o "$work/rate.$i" -w '%{http_code}\n' "http://127.0.0.1:$port/prpc/Version"; done >"$work/rates"
check "the external listener serves a burst and then refuses" is "$(sort "$work/rates" | uniq -c | tr -s ' ' | head -2 | cut -d' ' -f3 | tr '\n' ' ')" "200 429 "
check "the first five at least" is "$(head -5 "$work/rates" | uniq)" 200
check "with a code of its own" has "$(cat "$work/rate.9")" '.code == "rpc.rate_limited"'
check "the dashboard is limited with it" is "$(curl -sS -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/")" 429
check "the app's own socket is not" is "$(for i in $(seq 20); do status http://x/Version; done | sed 's/200//g')" ""
check "and again after a while" until_true 5 curl -sSf "http://127.0.0.1:$port/prpc/Version"
check "legacy_extensions = none: only the new form" eval \
	'post GetTlsKey "{\"usage_ra_tls\":true}" | jq -r ".certificate_chain[0]" | openssl x509 -noout -text >"$work/text" && grep -q "62397.1.8:" "$work/text" && ! grep -q "62397.1.[12]:" "$work/text"'
kill "$agent" && wait "$agent"

# Events of version 2: the envelope is V1, and carries what their replay needs.
jq '.default.core.legacy_extensions = "packed" | .default.core.emit_event = true' "$work/off.json" >"$work/agent.json"
mkdir "$work/run.v2"
DCAP_TDX_QUOTE_CONFIGFS_PATH=$work/tsm.v2 DCAP_TDX_RTMR_SYSFS_PATH=$work/tsm.v2 \
	"$tool" --tree "$work/tsm.v2" --pki "$work/pki" --ccel "$DSTACK_CCEL_FILE" serve >"$work/tsm.v2.log" 2>&1 &
pids+=($!)
until_true 5 grep -q ready "$work/tsm.v2.log" || not_ok "the fake TDX tree for version 2 is not ready"
one=("$DCAP_TDX_QUOTE_CONFIGFS_PATH" "$DSTACK_RUNTIME_LOG_DIR")
export DCAP_TDX_QUOTE_CONFIGFS_PATH=$work/tsm.v2 DCAP_TDX_RTMR_SYSFS_PATH=$work/tsm.v2 DSTACK_RUNTIME_LOG_DIR=$work/run.v2
"$tool" --version 2 emit system-preparing= app-id=$app compose-hash="$compose" instance-id=$instance system-ready= || not_ok "events of version 2"
check "starts with events of version 2" start
attestation=$(post Attest '{"report_data":"cd"}' | jq -r .attestation)
check "Attest gives a V1 envelope" is "${attestation:0:38}" "83$(printf '\xa7version\x01\xa8platform' | xxd -p)"
check "with the preimage of its events" grep -q "$(printf 'preimage' | xxd -p)" <<<"$attestation"
quote=$(post GetQuote '{}')
check "GetQuote shows them, and they replay to RTMR3" has "$quote" '.event_log | fromjson | map(select(.imr == 3)) | length == 5 and all(.version == 2 and (.preimage | length > 0))'
replay()
{
	local digest mr
	mr=$(head -c 48 /dev/zero | xxd -p -c 99)
	for digest in $(jq -r '.event_log | fromjson | .[] | select(.imr == 3) | .digest' <<<"$quote"); do
		mr=$(printf '%s%s' "$mr" "$digest" | xxd -r -p | sha384sum | cut -c-96)
	done
	is "$mr" "$(xxd -p -c 999 "$work/tsm.v2/rtmr3:sha384")" && is "$(jq -r .quote <<<"$quote" | cut -c1041-1136)" "$mr"
}
check "by their digests" replay
post GetTlsKey '{"usage_ra_tls":true}' | jq -r '.certificate_chain[0]' >"$work/v2.crt"
check "a certificate carries V1 and a packed legacy log" eval \
	'openssl x509 -in "$work/v2.crt" -outform DER | xxd -p -c 0 | grep "83$(printf "\xa7version\x01" | xxd -p)" | grep -q "$(printf ELGZv1 | xxd -p)1f8b"'
check "EmitEvent of version 2 moves Info" eval 'post EmitEvent "{\"event\":\"mine\",\"payload\":\"c0de\"}" && post Info |
	jq -e ".tcb_info | fromjson | .rtmr3 == \"$(xxd -p -c 999 "$work/tsm.v2/rtmr3:sha384")\" and .event_log[-1].version == 2"'
kill "$agent" && wait "$agent"
export DCAP_TDX_QUOTE_CONFIGFS_PATH=${one[0]} DCAP_TDX_RTMR_SYSFS_PATH=${one[0]} DSTACK_RUNTIME_LOG_DIR=${one[1]}
cp "$work/off.json" "$work/agent.json"

# With a KMS: the certificate is asked for by SignCert, over TLS pinned to the KMS root, with full evidence.
guest=build/tests/tools/fakeguest
dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
pids+=($!)
until_true 5 grep -q port= "$work/serve.log" || not_ok "collateral is not served"
hash=$($guest image --image "$work/images/one")
cat >"$work/kms.toml" <<-EOF
	insecure_development = true
	[core]
	cert_dir = "$work/kms/certs"
	bootstrap = true
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
EOF
dstack-kms -c "$work/kms.toml" 2>"$work/kms.log" &
pids+=($!)
until_true 10 grep -q 'listening.*port=' "$work/kms.log" || not_ok "the KMS does not start"
url=https://127.0.0.1:$(sed -n 's/.*listening.* port=\([0-9]*\).*/\1/p' "$work/kms.log")/prpc

# The log and the registers of the image that fakeguest knows.
le32() { printf '%02x%02x%02x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24)); }
acpi() { printf '%s%s%s0c00%s%s%s' "$(le32 1)" "$(le32 10)" "$(le32 1)" "$1" "$(le32 9)" "$(printf 'ACPI DATA' | xxd -p)"; }
fill() { printf "$1%.0s" {1..48}; }
spec="$(printf 'Spec ID Event03' | xxd -p)00$(le32 0)00020002$(le32 1)0c00300000"
{
	le32 0 && le32 3 && printf '%040d' 0 && le32 $((${#spec} / 2)) && printf %s "$spec"
	acpi "$(fill 40)" && acpi "$(fill 41)" && acpi "$(head -c 65536 /dev/zero | sha384sum | cut -c-96)" && acpi "$(fill 43)"
	le32 4294967295
} | xxd -r -p >"$work/soft.ccel"
args=$($guest quote-args --image "$work/images/one" --app $app --compose "$compose" --key "$work/any.key" |
	sed 's/--rtmr3 [0-9a-f]*//; s/--report-data [0-9a-f]*//')
export DCAP_TDX_QUOTE_CONFIGFS_PATH=$work/tsm2 DCAP_TDX_RTMR_SYSFS_PATH=$work/tsm2 DSTACK_RUNTIME_LOG_DIR=$work/run2
export DSTACK_CCEL_FILE=$work/soft.ccel
mkdir "$work/run2"
"$tool" --tree "$work/tsm2" --pki "$work/pki" --ccel "$DSTACK_CCEL_FILE" --quote-args "$args" serve >"$work/tsm2.log" 2>&1 &
pids+=($!)
until_true 5 grep -q ready "$work/tsm2.log" || not_ok "the second fake TDX tree is not ready"
"$tool" --version 1 emit system-preparing= app-id=$app compose-hash="$compose" instance-id=$instance boot-mr-done= \
	key-provider="$provider" system-ready=
jq -n --arg h "$hash" '{vm_config: ({os_image_hash: $h, cpu_count: 1, memory_size: 2147483648, qemu_version: "7.2.0", num_nics: 1,
	swtpm: true, tee: "soft"} | tojson)}' >"$work/sys-config.json"
jq --arg u "$url" --rawfile crt "$work/kms/certs/root-ca.crt" --rawfile tc "$work/kms/certs/tmp-ca.crt" --rawfile tk "$work/kms/certs/tmp-ca.key" \
	'.ca_cert = $crt | .key_provider = {Kms: {url: $u, pubkey: "", tmp_ca_key: $tk, tmp_ca_cert: $tc}}' "$work/appkeys.json" >"$work/kmskeys.json"
cat "$work/kmskeys.json" >"$work/appkeys.json"
check "starts with a KMS" start
post GetTlsKey '{"subject":"a"}' >"$work/body"
check "an empty allow-list: no certificate" grep -q policy.empty "$work/body"
printf 'development = true\nos_images = ["%s"]\ngateway_app_id = "%s"\n[[app]]\nid = "%s"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' \
	"$hash" $instance $app "$compose" >"$work/policy.toml"
signed() { post GetTlsKey '{"subject":"k.test","alt_names":["k.test"],"usage_ra_tls":true,"usage_server_auth":true,"with_app_info":true}' >"$work/tls.json" && jq -e .key "$work/tls.json"; }
check "allowed: a certificate of the KMS" until_true 5 signed
jq -r '.certificate_chain[0]' "$work/tls.json" >"$work/leaf.crt"
jq -r '.certificate_chain[1:][]' "$work/tls.json" >"$work/rest.crt"
check "its chain holds under the KMS root" openssl verify -CAfile "$work/kms/certs/root-ca.crt" -untrusted "$work/rest.crt" \
	-purpose sslserver -verify_hostname k.test "$work/leaf.crt"
for oid in 1 2 3 4 8 9; do check "extension $oid is there" eval 'openssl x509 -in "$work/leaf.crt" -noout -text | grep -q "1.3.6.1.4.1.62397.1.$oid:"'; done
check "the agent is known to the KMS by a certificate of its temporary CA" grep -q 'certificate for the KMS made number=1' "$work/agent.log"
check "a name of the KMS is refused with its reason" grep -q csr.san <<<"$(post GetTlsKey '{"alt_names":["127.0.0.1"]}')"
check "the demonstration certificate comes by itself" until_true 40 demo
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca2.key" -out "$work/ca2.crt" -subj "/O=Dstack/CN=Dstack KMS CA" -days 30 2>/dev/null
kill "$agent" && wait "$agent"
jq --rawfile crt "$work/ca2.crt" '.ca_cert = $crt' "$work/kmskeys.json" >"$work/appkeys.json"
check "starts with another root pinned" start
check "a KMS under another root is not asked" grep -q 'tls' <<<"$(post GetTlsKey '{}' | jq -r .code)"
kill "$agent" && wait "$agent"
