#!/bin/bash
# The agent's wire, asked by a client that is nothing but a socket (agent-wire.py: sections 1.2 and 2 of its specification),
# and what leaves the agent by ways that are no answer: HB-20's canary.
. "$(dirname "$0")/lib.sh"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; finish; [ "$failures" -eq 0 ] || exit 1' EXIT
export DCAP_TDX_QUOTE_CONFIGFS_PATH=$work/tsm DCAP_TDX_RTMR_SYSFS_PATH=$work/tsm DSTACK_RUNTIME_LOG_DIR=$work/run
export DSTACK_CCEL_FILE=$PWD/tests/evidence/real/dstack/cc-eventlog/ccel.bin
tool=$PWD/build/tests/tools/faketdx
mkdir -p "$work/run"
chmod 711 "$work"

dstack-softtee pki --dir "$work/pki"
"$tool" --tree "$work/tsm" --pki "$work/pki" --ccel "$DSTACK_CCEL_FILE" serve >"$work/tsm.log" 2>&1 &
pids+=($!)
until_true 5 grep -q ready "$work/tsm.log" || not_ok "the fake TDX tree is not ready"
printf '{"manifest_version":2,"name":"caf\\u00e9","runner":"docker-compose","docker_compose_file":"services: {}\\n","public_sysinfo":true,"public_logs":true}' \
	>"$work/app-compose.json"
"$tool" --version 1 emit system-preparing= app-id=5bb4ff9a3837357f19dc176407a5709c62eb6c56 compose-hash="$(sha256sum <"$work/app-compose.json" | cut -c-64)" \
	instance-id=1691ed1b47506cad7d08834668691d88246f5b1f boot-mr-done= key-provider="$(printf '{"name":"local","id":"aa"}' | xxd -p)" system-ready= || not_ok "runtime events"
# The host's API, which keeps what it is told; and what the guest's power-off is.
python3 - "$work/host.port" "$work/host.log" <<'PY' &
import http.server, sys
class Host(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        open(sys.argv[2], "ab").write(self.path.encode() + b" " + str(self.headers).encode() + body + b"\n")
        self.send_response(200); self.send_header("Content-Length", "4"); self.end_headers(); self.wfile.write(b"null")
    def log_message(self, *args): pass
s = http.server.HTTPServer(("127.0.0.1", 0), Host)
open(sys.argv[1], "w").write(str(s.server_port))
s.serve_forever()
PY
pids+=($!)
until_true 5 test -s "$work/host.port"
printf '#!/bin/sh\necho off >%s\n' "$work/off" >"$work/poweroff"
chmod 755 "$work/poweroff"
jq -n --arg u "http://127.0.0.1:$(cat "$work/host.port")/api" '{kms_urls: [], host_api_url: $u, vm_config: ({cpu_count: 1} | tojson)}' >"$work/sys-config.json"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" -subj "/CN=App Root Cert" -days 30 2>/dev/null
k256=d6e88992cdeeee35fe70b5db61ab66cdb191fb9b6ec9313757ef162dd7214d5d # upstream's simulator: known answers
disk=$(head -c 32 /dev/urandom | xxd -p -c 99) env=$(head -c 32 /dev/urandom | xxd -p -c 99)
(umask 077 && jq -n --arg k $k256 --arg d "$disk" --arg e "$env" --rawfile key "$work/ca.key" --rawfile crt "$work/ca.crt" \
	'{k256_key: $k, k256_signature: "", disk_crypt_key: $d, env_crypt_key: $e, ca_cert: $crt, gateway_app_id: "", key_provider: {Local: {key: $key, mr: "aa"}}}' \
	>"$work/appkeys.json")
jq -n --arg w "$work" '{default: {core: {tee: "tdx", keys_file: "\($w)/appkeys.json", compose_file: "\($w)/app-compose.json", sys_config_file: "\($w)/sys-config.json",
	gpu_attestation_file: "", poweroff: "\($w)/poweroff", engine: ""}},
	internal: {address: "unix:\($w)/dstack.sock", folder_address: ""}, "internal-v0": {address: "unix:\($w)/tappd.sock", folder_address: ""},
	external: {address: "tcp:127.0.0.1:0"}, "guest-api": {address: "unix:\($w)/guest.sock"}}' >"$work/agent.json"
mkdir "$work/cwd"
start()
{
	: >"$work/agent.out"
	(cd "$work/cwd" && ulimit -c unlimited && exec dstack-guest-agent -c "$work/agent.json") >"$work/agent.out" 2>>"$work/agent.log" &
	agent=$!
	pids+=("$agent")
	until_true 10 grep -q ready "$work/agent.out" || { cat "$work/agent.log" && return 1; }
	port=$(sed -n 's/.*address=tcp:.* port=\([0-9]*\).*/\1/p' "$work/agent.log" | tail -n 1)
}
check "starts" start
python3 tests/e2e/agent-wire.py "$work/dstack.sock" "$work/tappd.sock" "$work/guest.sock" "$port" || failures=$((failures + 1))

# An app whose events are of version 2: attestations then are of the form V1, and the log shows what was hashed.
second()
{
	export DCAP_TDX_QUOTE_CONFIGFS_PATH=$work/tsm2 DCAP_TDX_RTMR_SYSFS_PATH=$work/tsm2 DSTACK_RUNTIME_LOG_DIR=$work/run2
	mkdir "$work/run2"
	"$tool" --tree "$work/tsm2" --pki "$work/pki" --ccel "$DSTACK_CCEL_FILE" serve >"$work/tsm2.log" 2>&1 &
	pids+=($!)
	until_true 5 grep -q ready "$work/tsm2.log" || return 1
	"$tool" --version 2 emit system-preparing= app-id=5bb4ff9a3837357f19dc176407a5709c62eb6c56 boot-mr-done= system-ready= || return 1
	jq --arg w "$work" '.internal.address = "unix:\($w)/v2.sock" | .["internal-v0"].address = "" | .["guest-api"].address = ""' "$work/agent.json" >"$work/v2.json"
	dstack-guest-agent -c "$work/v2.json" >"$work/v2.out" 2>"$work/v2.log" &
	v2=$!
	until_true 10 grep -q ready "$work/v2.out"
}
v2() { curl -sS --max-time 20 --unix-socket "$work/v2.sock" "http://x/$1"; }
preimage() { v2 GetQuote | jq -e '.event_log | fromjson | map(select(.imr == 3)) | length == 4 and all(.version == 2 and (.digest | length == 96) and (.preimage | length > 50))'; }
v1_form() { v2 "Attest?report_data=cd" | jq -r .attestation | cut -c1-18 | grep -qx 83a776657273696f6e; }
holds() { v2 "Attest?report_data=cd" | jq -r .attestation | xxd -r -p >"$work/v2.bin"; dstack events replay "$work/v2.bin" | grep -c 'as in the quote' | grep -qx 4; }
cert_form() { v2 "GetTlsKey?usage_ra_tls=true" | jq -r '.certificate_chain[0]' | openssl x509 -outform DER | xxd -p -c 99999 | grep -q 83a776657273696f6e; }
saved=$(declare -p DCAP_TDX_QUOTE_CONFIGFS_PATH DCAP_TDX_RTMR_SYSFS_PATH DSTACK_RUNTIME_LOG_DIR)
check "an agent with events of version 2" second
check "GetQuote: each with its version and what was hashed" preimage
check "Attest: the form V1" v1_form
check "which replays to all four registers" holds
check "so does the certificate carry it" cert_form
kill "$v2" && wait "$v2"
eval "${saved//declare -x/export}"

# As a service manager starts it: sockets 3 and 4 opened by it, -w, readiness told, a watchdog fed.
cat >"$work/manager.py" <<'PY'
import json, os, signal, socket, sys, time
config, folder = sys.argv[1:]
def door(path):
    s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(16); return s
doors = [door(f"{folder}/a.sock"), door(f"{folder}/b.sock")]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); notify.bind("\0dstack-test-%d" % os.getpid()); notify.settimeout(10)
pid = os.fork()
if not pid:
    high = [os.dup(d.fileno()) for d in doors]
    high = [os.dup2(h, 100 + i) for i, h in enumerate(high)]
    for i, h in enumerate(high): os.dup2(h, 3 + i, inheritable=True)
    os.closerange(5, 200)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", NOTIFY_SOCKET="@dstack-test-%d" % os.getppid(), WATCHDOG_USEC="500000")
    os.execvp("dstack-guest-agent", ["dstack-guest-agent", "-w", "-c", config])
def ask(path, request):
    s = socket.socket(socket.AF_UNIX); s.connect(path); s.sendall(f"GET {request} HTTP/1.0\r\n\r\n".encode())
    got = b""
    while (b := s.recv(65536)): got += b
    return json.loads(got.split(b"\r\n\r\n", 1)[1])
told = [notify.recv(100)]
assert told == [b"READY=1"], told
assert ask(f"{folder}/a.sock", "/GetKey?path=/")["key"].startswith("f6c1ed94")
assert ask(f"{folder}/b.sock", "/prpc/Tappd.DeriveK256Key?path=/")["k256_key"].startswith("f6c1ed94")
began = time.time()
told += [notify.recv(100), notify.recv(100)]
assert told[1:] == [b"WATCHDOG=1"] * 2 and 1 <= time.time() - began < 8, (told, time.time() - began)
os.kill(pid, signal.SIGTERM)
assert notify.recv(100) in (b"STOPPING=1", b"WATCHDOG=1") and os.waitpid(pid, 0)[1] == 0
print("all told:", told)
PY
mkdir "$work/activated"
jq --arg w "$work/activated" '.internal.address = "unix:\($w)/not-this.sock" | .["internal-v0"].address = "unix:\($w)/nor-this.sock"
	| .["guest-api"].address = ""' "$work/agent.json" >"$work/activated.json"
check "sockets and watchdog of a service manager" python3 "$work/manager.py" "$work/activated.json" "$work/activated"
check "given sockets stand for the configured ones" test ! -e "$work/activated/not-this.sock" -a ! -e "$work/activated/nor-this.sock"

# HB-20. The secrets of the key file and of answers; then everything the agent writes or says to others than who asked.
get() { curl -sS --max-time 20 --unix-socket "$work/$1" "http://x/$2"; }
secrets()
{
	printf '%s\n%s\n%s\n' $k256 "$disk" "$env"
	openssl pkey -in "$work/ca.key" -outform DER | xxd -p -c 999 | cut -c73-136
	for path in / wallet/1 ''; do get dstack.sock "GetKey?path=$path" | jq -r .key; done
	get dstack.sock GetTlsKey | jq -r .key | openssl pkey -outform DER | xxd -p -c 999 | cut -c73-136
	get tappd.sock "prpc/Tappd.DeriveKey?path=a" | jq -r .key | openssl pkey -outform DER | xxd -p -c 999 | cut -c73-136
}
secrets >"$work/secrets"
check "nine secrets are known" test "$(grep -c '^[0-9a-f]\{64\}$' "$work/secrets")" = 9
mkdir "$work/seen"
for path in "" metrics logs/x prpc/Worker.Info prpc/Worker.Version 'prpc/GetAttestationForAppKey?algorithm=ed25519' prpc/GetKey nope; do
	curl -sS --max-time 20 "http://127.0.0.1:$port/$path" >"$work/seen/external-$(tr -dc 'a-zA-Z' <<<"$path")"
done
# A secret in a request is the asker's own to lose, but no log line shall keep it.
for body in "{\"path\":\"$k256\",\"algorithm\":\"$env\"}" "{\"path\":\"$k256" "{\"$k256\":1,\"path\":2}"; do
	curl -sS --unix-socket "$work/dstack.sock" -H 'Content-Type: application/json' -d "$body" http://x/GetKey >/dev/null
done
curl -sS "http://127.0.0.1:$port/prpc/$k256" "http://127.0.0.1:$port/$k256" >/dev/null
for m in Info SysInfo NetworkInfo ListContainers; do get guest.sock "api/$m" >"$work/seen/host-$m"; done
for m in Info Version GpuInfo 'GetQuote?report_data=00' 'Attest?report_data=00'; do get dstack.sock "$m" >"$work/seen/dstack-${m%%\?*}"; done
tr '\0' '\n' <"/proc/$agent/cmdline" >"$work/seen/cmdline"
tr '\0' '\n' <"/proc/$agent/environ" >"$work/seen/environ"
get guest.sock api/Shutdown >/dev/null
check "the host is told of the power-off" until_true 10 grep -q shutdown.progress "$work/host.log"
check "and it is begun" until_true 10 test -e "$work/off"
processes=$(pgrep -g "$(ps -o pgid= -p "$agent" | tr -d ' ')" dstack-guest || echo "$agent")
limits() { local p; for p in $processes; do grep -qE '^Max core file size +0 +0 ' "/proc/$p/limits" || return 1; done; }
check "HB-20: no process of the agent may leave a core file" limits
kill -SEGV "$agent"
wait "$agent" 2>/dev/null
check "and a crash leaves none" test -z "$(ls "$work/cwd")"
check "HB-20: no secret in the log, in what the host was told, in the TEE's files, in any answer to strangers" \
	python3 tests/e2e/canary.py "$work/secrets" "$work/agent.log" "$work/agent.out" "$work/host.log" "$work/tsm" "$work/tsm.log" "$work/run" "$work/seen"
cp "$work/appkeys.json" "$work/seen/"
check "the canary would have sung" eval '! python3 tests/e2e/canary.py "$work/secrets" "$work/seen"'
