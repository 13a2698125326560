#!/bin/bash
# dstack-auth as operators run it: who can reach it (GV-07), what it may do, what it repeats of a question; one in
# front of another stands in for a KMS that asks over TLS, with a server to fall back to.
. "$(dirname "$0")/lib.sh"
app=00112233445566778899aabbccddeeff00112233 h=$(printf '5a%.0s' {1..32})
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1)
for ca in ca stranger; do openssl req -x509 "${ec[@]}" -subj "/CN=$ca" -keyout "$work/$ca.key" -out "$work/$ca.crt" 2>/dev/null; done
leaf() # leaf NAME CA
{
	openssl req "${ec[@]}" -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.csr" 2>/dev/null &&
		openssl x509 -req -in "$work/$1.csr" -CA "$work/$2.crt" -CAkey "$work/$2.key" -CAcreateserial -days 1 \
			-extfile <(echo subjectAltName=IP:127.0.0.1,DNS:localhost) -out "$work/$1.crt" 2>/dev/null && chmod 600 "$work/$1.key"
}
leaf server ca && leaf client ca && leaf nobody stranger
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'os_images = ["%s"]\n[[app]]\nid = "%s"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' "$h" "$app" "$h" >"$work/policy.toml"
question() # question [JQ]
{
	jq -nc --arg a "$app" --arg h "$h" "{teeVariant: \"dstack-tdx\", mrAggregated: \$h, osImageHash: \$h, mrSystem: \$h, appId: \$a, composeHash: \$h,
		instanceId: \"\", deviceId: \$h, keyProviderInfo: \"\", tcbStatus: \"UpToDate\", advisoryIds: []} ${1:+| $1}"
}
config() # config ADDRESS [LINES OF tls]
{
	printf 'address = "%s"\n%s\n[policy]\nfile = "%s"\n' "$1" "${2-}" "$work/policy.toml" >"$work/auth.toml"
}
tls() { printf '[tls]\ncert = "%s"\nkey = "%s"\nclient_ca = "%s"\n' "$work/server.crt" "$work/server.key" "$work/$1.crt"; }
start() # start NAME: with $work/NAME.toml
{
	: >"$work/$1.log"
	dstack-auth -c "$work/$1.toml" 2>"$work/$1.log" &
	eval "pid_$1=$!"
	pids+=($!)
	until_true 5 grep -q ' ready ' "$work/$1.log" || { cat "$work/$1.log" && return 1; }
}
stop() { local pid=pid_$1 && kill "${!pid}" && { wait "${!pid}" || true; }; }

# gv_07: who may ask, and on which way.
checked() { dstack-auth -c "$work/auth.toml" --check; }
for address in tcp:0.0.0.0:8001 tcp:10.0.2.2:8001 tcp:[::]:8001; do
	config "$address" && refused "gv_07 in clear for other machines: $address" config.policy_channel checked
done
for address in tcp:127.0.0.1:8001 tcp:[::1]:8001 unix:/run/auth.sock; do
	config "$address" && check "gv_07 for this machine alone: $address" checked
done
config tcp:0.0.0.0:8001 'insecure_clear = true' && check "gv_07 in clear if it must be, which is logged" eval 'checked 2>&1 | grep -q "INSECURE: policy in clear"'
config tcp:0.0.0.0:8001 "$(tls ca | sed /client_ca/d)" && refused "gv_07 TLS that anybody may speak" config.policy checked
config tcp:0.0.0.0:8001 "$(tls ca)" && check "gv_07 certificates on both sides" checked
chmod 644 "$work/server.key" && refused "a key that others can read" server.key checked
chmod 600 "$work/server.key"
config "tcp:127.0.0.1:$port" "$(tls ca)" && check "it serves over TLS" start auth
ask() { curl -sS --max-time 5 --fail-with-body --cacert "$work/ca.crt" -H 'content-type: application/json' "https://127.0.0.1:$port$1" "${@:2}"; }
as() { echo --cert "$work/$1.crt" --key "$work/$1.key"; }
# shellcheck disable=SC2046 # options, one word each
{
	refused "gv_07 who shows no certificate" "curl: (" ask /bootAuth/app -d "$(question)"
	refused "gv_07 who shows one of another CA" "curl: (" ask /bootAuth/app $(as nobody) -d "$(question)"
	check "gv_07 who shows one of the CA" jq -e .isAllowed <(ask /bootAuth/app $(as client) -d "$(question)")
	check "gv_07 with TLS 1.2 as well" jq -e .isAllowed <(ask /bootAuth/app $(as client) --tls-max 1.2 -d "$(question)")
	refused "gv_07 but not with TLS 1.1" "curl: (" ask /bootAuth/app $(as client) --tls-max 1.1 -d "$(question)"
}

# What it may do, and what it repeats.
check "it may make few system calls, in every thread" test -z "$(grep -L '^Seccomp:.*2' "/proc/$pid_auth"/task/*/status)"
check "and gain no privileges" grep -q '^NoNewPrivs:.*1' "/proc/$pid_auth/status"
say() { ask "/bootAuth/$1" --cert "$work/client.crt" --key "$work/client.key" -d "$2"; }
sed -i 's/5a5a/5b5b/' "$work/policy.toml"
check "a policy that changed is read, as few calls as it may make" until_true 5 eval 'say app "$(question)" | jq -e "(.isAllowed | not) and .code == \"policy.image_not_allowed\""'
sed -i 's/5b5b/5a5a/' "$work/policy.toml"
check "and back" until_true 5 eval 'say app "$(question)" | jq -e .isAllowed'
for member in tcbStatus teeVariant anchor appId composeHash instanceId keyProviderInfo mrSystem; do
	say app "$(question ".$member = \"<b>EVIL\\u001b[31m\\n\"")" >"$work/answer"
	check "a bad $member is a denial that repeats nothing" eval 'jq -e "(.isAllowed | not) and .code == \"auth.request\" and (.reason | length < 200)" "$work/answer" && ! grep -q EVIL "$work/answer"'
done
say app "$(question '.advisoryIds = ["<b>EVIL"]')" >"$work/answer"
check "so is a bad advisory" eval 'jq -e ".code == \"auth.request\"" "$work/answer" && ! grep -q EVIL "$work/answer"'
for body in '{"EVIL' '["EVIL"]' '{"appId": "EVIL' '{"appId": {"EVIL": 1}}' '{"EVIL": 1, "EVIL": 2}'; do
	say app "$body" >"$work/answer" 2>&1
	check "no JSON of a question: 4xx or a denial that repeats nothing" eval '! grep -q "isAllowed\":true" "$work/answer" && ! grep -q EVIL "$work/answer"'
done
say app "$(question ".appId = \"$(printf 'ab%.0s' {1..20})\"")" >"$work/answer"
check "an app is named by its id in hex" jq -e '.reason | test("^app not registered: (ab){20};")' "$work/answer"
check "nothing of it is in the log" eval '! grep -q EVIL "$work/auth.log"'

# Another in front, as a KMS asks: over TLS by a name, then with a server to fall back to.
front() # front URL CLIENT [MORE]
{
	[ -z "${pid_front-}" ] || stop front
	rm -f "$work/front.sock"
	{
		printf 'address = "unix:%s"\n[[policy.source]]\ntype = "webhook"\nurl = "%s"\n' "$work/front.sock" "$1"
		printf 'ca_file = "%s"\nclient_cert = "%s"\nclient_key = "%s"\ntimeout = 2\nconnect_timeout = 1\n%s\n' "$work/ca.crt" "$work/$2.crt" "$work/$2.key" "${3-}"
	} >"$work/front.toml"
	start front
}
through() { curl -sS --max-time 9 --unix-socket "$work/front.sock" -H 'content-type: application/json' http://auth/bootAuth/app -d "$(question "${1-}")"; }
says() { test "$(through "${2-}" | jq -r .code)" = "$1"; }
front "https://localhost:$port" client
check "gv_07 a question over TLS, by a name, within its system calls" says ""
check "a no comes back as one" says policy.denied '.appId |= gsub("0"; "1")'
front "https://127.0.0.1:$port" nobody
check "gv_07 a certificate that the server does not know" eval 'through | jq -e "(.isAllowed | not) and (.code | startswith(\"policy.\"))"'
front "http://127.0.0.1:1" client "fallback_urls = [\"https://127.0.0.1:$port\"]"
check "the first server is down: the second is asked" says ""
check "and says no where it says no" says policy.denied '.appId |= gsub("0"; "1")'
kill -STOP "$pid_auth"
front "https://127.0.0.1:$port" client 'fallback_urls = ["http://127.0.0.1:1"]'
began=$(date +%s%3N)
check "none decides: no" eval 'through | jq -e "(.isAllowed | not) and (.reason | test(\"none of 2 servers decided\"))"'
check "within the time of the one that hangs" test $(($(date +%s%3N) - began)) -lt 3000
kill -CONT "$pid_auth"
check "it is back: at once" says ""

# gv_07: a key instead of client certificates; what comes back is to this very question.
(umask 077 && printf '%032d\n' 7 >"$work/hmac" && printf '%032d\n' 8 >"$work/other-hmac")
stop auth
config "tcp:0.0.0.0:$port" "hmac_key_file = \"$work/hmac\"" && refused "gv_07 a key alone, in clear for other machines" config.policy_channel checked
config "tcp:127.0.0.1:$port" "hmac_key_file = \"$work/hmac\"
$(tls ca | sed /client_ca/d)" && check "gv_07 TLS and a key" start auth
refused "gv_07 a question that is not sealed" auth.seal ask /bootAuth/app -d "$(question)"
refused "gv_07 nor with GET" auth.seal ask "/bootAuth/app?json"
check "what it says of itself needs none" ask /
sealed() { front "$1" client "$(printf 'hmac_key_file = "%s"\n' "$work/$2")" && sed -i '/client_/d' "$work/front.toml" && front_again; }
front_again() { stop front && rm -f "$work/front.sock" && start front; }
sealed "https://127.0.0.1:$port" hmac
check "gv_07 a sealed question over TLS without a client certificate" says ""
check "a no comes back as one" says policy.denied '.appId |= gsub("0"; "1")'
sealed "https://127.0.0.1:$port" other-hmac
check "gv_07 sealed with another key" says policy.status
stop auth
config "tcp:127.0.0.1:$port" "hmac_key_file = \"$work/hmac\"" && start auth
cat >"$work/between.py" <<'PY'
import http.server, sys, urllib.request
class Between(http.server.BaseHTTPRequestHandler): # turns each no into a yes, or answers with the first yes again
    kept = None
    def log_message(self, *a): pass
    def do_GET(self): self.send_error(404)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        r = urllib.request.Request(sys.argv[1] + self.path, body, {k: v for k, v in self.headers.items()})
        with urllib.request.urlopen(r) as a: text, seal = a.read(), a.headers.get("X-Dstack-Policy", "")
        mode = open(sys.argv[3]).read().strip()
        if mode == "lie": text = text.replace(b'"isAllowed": false', b'"isAllowed": true').replace(b'"isAllowed":false', b'"isAllowed":true')
        if mode == "again" and Between.kept: text, seal = Between.kept
        if b"true" in text: Between.kept = text, seal
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Dstack-Policy", seal)
        self.end_headers()
        self.wfile.write(text)
s = http.server.HTTPServer(("127.0.0.1", 0), Between)
open(sys.argv[2], "w").write(str(s.server_address[1]))
s.serve_forever()
PY
echo honest >"$work/mode"
python3 "$work/between.py" "http://127.0.0.1:$port" "$work/between.port" "$work/mode" 2>/dev/null &
pids+=($!)
until_true 5 test -s "$work/between.port"
sealed "http://127.0.0.1:$(cat "$work/between.port")" hmac
check "somebody in between who passes everything on" says ""
echo again >"$work/mode"
check "gv_07 an old yes in the place of a new answer" says policy.seal '.appId |= gsub("0"; "1")'
echo lie >"$work/mode"
check "gv_07 a no turned into a yes" says policy.seal '.appId |= gsub("0"; "1")'
stop auth && config "tcp:127.0.0.1:$port" && start auth && front "http://127.0.0.1:$(cat "$work/between.port")" client
check "which nobody would see without seals" says "" '.appId |= gsub("0"; "1")'
