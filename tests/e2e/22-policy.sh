#!/bin/bash
# Policy back ends under a real dstack-kms with evidence of the software TEE: a webhook that is up, slow, wrong, down and
# huge; our contracts on anvil, changed with `dstack app`, a chain that reorganises, hangs, or is another one; a quorum.
. "$(dirname "$0")/lib.sh"
guest=build/tests/tools/fakeguest
compose=$(printf '5a%.0s' {1..32}) compose2=$(printf '5b%.0s' {1..32})
app=00112233445566778899aabbccddeeff00112233
pids=()
trap 'kill -CONT "${pids[@]}" 2>/dev/null; kill "${pids[@]}" 2>/dev/null; wait; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

# The chain's tools, and the contracts from their source.
cp -r tests/e2e/contracts-npm "$work/npm"
check "npm packages install from their lock" npm ci --prefix "$work/npm" --no-audit --no-fund --ignore-scripts --loglevel=error
foundry() { echo "$work/npm/node_modules/@foundry-rs/$1-linux-amd64/bin/$1"; }

anvil() # anvil NAME OPTIONS…: a node in the background; its URL in $url, its id in $node
{
	local name=$1
	shift
	"$(foundry anvil)" --port 0 "$@" >"$work/$name.log" 2>&1 &
	node=$!
	pids+=("$node")
	until_true 10 grep -q 'Listening on' "$work/$name.log" || { cat "$work/$name.log" && return 1; }
	url=http://$(sed -n 's/.*Listening on \([0-9.:]*\).*/\1/p' "$work/$name.log")
}
anvil chain && chain=$url chain_pid=$node
anvil scratch && scratch=$url
anvil other --chain-id 1 && other=$url
"$(foundry cast)" rpc --rpc-url "$other" anvil_mine 0x5 >/dev/null
(node contracts/compile.js "$work/npm/node_modules" "$work/compiled" && node "$work/npm/check.js" "$work/compiled" contracts/out &&
	node "$work/npm/library.js" "$work/compiled" && node "$work/npm/contracts.js" "$scratch" "$work/compiled") >"$work/contracts.log" 2>&1 &
compiling=$!
rpc() { "$(foundry cast)" rpc --rpc-url "$chain" "$@"; }
mine() { rpc anvil_mine "$(printf '0x%x' "${1:-1}")" >/dev/null; }
# The first two accounts of every anvil: the KMS's owner and another.
(umask 077 && echo ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80 >"$work/owner.key" &&
	echo 0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d >"$work/stranger.key")
on_chain() { dstack app "$@" --rpc "$chain" --chain-id 31337 --key-file "$work/owner.key"; }

dstack-softtee pki --dir "$work/pki"
dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
pids+=($!)
until_true 5 grep -q port= "$work/serve.log"
pccs=http://127.0.0.1:$(sed -n 's/.*port=//p' "$work/serve.log")
image=$($guest image --image "$work/images/one")

config() # config: kms.toml; the policy from standard input
{
	{
		cat <<-EOF
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
			pccs_url = "$pccs"
			development_root = "$work/pki/root.der"
		EOF
		cat
	} >"$work/kms.toml"
}
start()
{
	: >"$work/kms.log"
	dstack-kms -c "$work/kms.toml" 2>"$work/kms.log" &
	kms=$!
	pids+=("$kms")
	until_true 10 grep -q 'listening.*port=' "$work/kms.log" || { cat "$work/kms.log" && return 1; }
	kms_url=https://127.0.0.1:$(sed -n 's/.*listening.* port=\([0-9]*\).*/\1/p' "$work/kms.log")
}
restart() { kill "$kms" && wait "$kms"; start; }
ask()
{
	local method=$1
	shift
	curl -sS --max-time 20 --fail-with-body --cacert "$work/kms/certs/root-ca.crt" "$@" "$kms_url/prpc/$method?json"
}
evidence() # evidence NAME WHO…
{
	local name=$1
	shift
	# shellcheck disable=SC2046 # options, one word each
	dstack-softtee quote --dir "$work/pki" --out "$work/$name.quote" $($guest quote-args "$@" --key "$work/$name.key") &&
		$guest cert "$@" --key "$work/$name.key" --ca "$work/tmp.crt" --ca-key "$work/tmp.key" --out "$work/$name.crt" --quote "$work/$name.quote"
}
keys() { ask GetAppKey --cert "$work/$1.crt" --key "$work/$1.key" -d '{"api_version":1}'; }
ms() { date +%s%3N; }

# A webhook that does what $work/mode says.
cat >"$work/hook.py" <<'EOF'
import http.server, socketserver, ssl, sys, time
app = b"0e" * 20
class Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do_GET(self): self.answer(b'{"status":"ok","kmsContractAddr":"0x00","gatewayAppId":"","chainId":5,"appImplementation":"0x01"}')
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mode = open(sys.argv[1] + "/mode").read().strip()
        open(sys.argv[1] + "/asked", "w").write(self.path + " " + body.decode())
        yes = b'{"isAllowed":true,"gatewayAppId":"0x%s","reason":""}' % (b"01" * 20)
        if mode == "slow": time.sleep(5)
        if mode == "slow-app" and b"5b5b5b5b" in body: time.sleep(5)
        if mode == "no": yes = b'{"isAllowed":false,"gatewayAppId":"","reason":"it is late"}'
        if mode == "epoch" and app in body: yes = yes[:-1] + b',"keyEpoch":{"current":2,"min":1,"legacy":1}}'
        if mode == "epoch-old" and app in body: yes = yes[:-1] + b',"keyEpoch":{"current":1,"min":0,"legacy":0}}'
        if mode == "epoch-end" and app in body: yes = yes[:-1] + b',"keyEpoch":{"current":3,"min":1,"legacy":3,"revocations":[{"epoch":2,"at":1700000000}]}}'
        if mode == "wrong": yes = yes.replace(b"true", b'"true"')
        if mode == "huge": yes += b" " * (10 << 20)
        self.answer(yes, 500 if mode == "500" else 302 if mode == "302" else 200)
    def answer(self, body, status=200):
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 302: self.send_header("Location", "/yes")
            self.end_headers()
            self.wfile.write(body)
        except OSError: self.close_connection = True
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64
s = Server(("127.0.0.1", int(sys.argv[2])), Hook)
if len(sys.argv) > 3:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[3] + ".crt", sys.argv[3] + ".key")
    tls.load_verify_locations(sys.argv[4])
    tls.verify_mode = ssl.CERT_REQUIRED
    s.socket = tls.wrap_socket(s.socket, server_side=True)
open(sys.argv[1] + "/hook.port", "w").write(str(s.server_address[1]))
s.serve_forever()
EOF
hook() # hook [PORT [NAME CA]]: starts it; with NAME over TLS with its key, demanding a certificate of CA
{
	rm -f "$work/hook.port"
	python3 "$work/hook.py" "$work" "${1-0}" "${@:2}" 2>/dev/null &
	hook=$!
	pids+=("$hook")
	until_true 5 test -s "$work/hook.port"
}
mode() { echo "$1" >"$work/mode"; }
mode yes && hook && port=$(cat "$work/hook.port")

config <<-EOF
	[[policy.source]]
	type = "webhook"
	url = "http://policy.example:$port"
EOF
refused "a webhook in clear on another machine (GV-07)" config.policy_channel dstack-kms -c "$work/kms.toml" --check
config <<-EOF
	[[policy.source]]
	type = "webhook"
	url = "http://127.0.0.1:$port"
	timeout = 2
EOF
check "a KMS with a webhook starts" start
ask GetTempCaCert -d null >"$work/temp.json"
jq -r .temp_ca_cert "$work/temp.json" >"$work/tmp.crt"
jq -r .temp_ca_key "$work/temp.json" >"$work/tmp.key"
who=(--image "$work/images/one" --app "$app" --compose "$compose")
evidence good "${who[@]}" && evidence second --image "$work/images/one" --app "$app" --compose "$compose2"
check "webhook says yes" jq -e --arg g "$(printf '01%.0s' {1..20})" '.gateway_app_id == $g and (.disk_crypt_key | length == 64)' <(keys good)
check "it was asked upstream's question" grep -q "^/bootAuth/app {\"teeVariant\":\"dstack-tdx\",.*\"appId\":\"$app\",\"composeHash\":\"$compose\"" "$work/asked"
mode no && refused "webhook says no" policy.denied keys good
# Epochs by the webhook, for another app: they are in force at once, and stay.
third=$(printf '0e%.0s' {1..20})
evidence third --image "$work/images/one" --app "$third" --compose "$compose"
of() { ask GetAppKey --cert "$work/third.crt" --key "$work/third.key" -d "$1" | jq -r "$2"; } # of REQUEST JQ
env() { ask GetAppEnvEncryptPubKey -d "{\"app_id\":\"$third\"}"; }
mode yes && of '{}' .disk_crypt_key >"$work/epoch0"
mode epoch
check "the webhook opens epochs and moves those who name none" test "$(of '{}' '[.epoch, .current_epoch] | @csv')" = 1,2
check "with other keys" test "$(of '{}' .disk_crypt_key)" != "$(cat "$work/epoch0")"
check "the record says whose rule it was" eval 'tail -n 1 "$work/kms/certs.state/audit.log" | jq -e ".event == \"key-release\" and .reason == \"epochs: policy\""'
check "and another one that it came into force" grep -q '"event":"policy-change".*epochs, app='"$third current=2 min=1 legacy=1" "$work/kms/certs.state/audit.log"
check "the environment's public key is that epoch's, too" test "$(env | jq .epoch)" = 1
refused "below its min nothing is served" epoch.not_served of '{"epoch":0}' .
mode epoch-old
check "an answer of before, played again, brings nothing back" test "$(of '{}' .epoch)" = 1
refused "not by name either" epoch.not_served of '{"epoch":0}' .
mode yes && check "nor does one that says nothing of epochs" test "$(of '{}' '[.epoch, .current_epoch] | @csv')" = 1,2
mode epoch-end
check "it moves on" test "$(of '{}' .epoch)" = 3
refused "and ends an epoch" epoch.revoked of '{"epoch":2}' .
mode yes && refused "which stays ended" epoch.revoked of '{"epoch":2}' .
check "also over a restart" restart
refused "with all it said" epoch.revoked of '{"epoch":2}' .
check "other apps are where they were" test "$(keys good | jq .epoch)" = 0
check "dstack kms policy shows it" eval 'dstack kms policy --state "$work/kms/certs.state" | grep -q "\"app_id\":\"$third\",\"current\":3,\"min\":1,\"legacy\":3.*\"learned\":true"'
check "an operator takes the app over" dstack kms rotate --app-id "$third" --state "$work/kms/certs.state"
mode epoch-end
check "and then the webhook can only take away" eval '[ "$(of "{}" .epoch)" = 3 ] && [ "$(of "{\"epoch\":1}" .epoch)" = 1 ]'
refused "what is above its current" epoch.not_served of '{"epoch":4}' .
mode wrong && refused "webhook says yes in a string (KM-02)" policy.reply keys good
mode huge && refused "webhook says 10 MB (KM-02)" policy.reply keys good
mode 500 && refused "webhook says 500 (KM-02)" policy.status keys good
mode 302 && refused "webhook points elsewhere (KM-02)" policy.status keys good
mode slow
began=$(ms)
refused "webhook is slow (KM-02)" policy.timeout keys good
check "within its two seconds" test $(($(ms) - began)) -lt 3500
mode slow-app
for _ in 1 2 3 4 5 6 7 8; do keys second >/dev/null 2>&1 & waits+=($!); done
sleep 0.2
began=$(ms)
check "while eight questions hang, another app is answered" keys good
check "at once" test $(($(ms) - began)) -lt 1500
began=$(ms)
check "and so are methods that ask nobody" ask GetMeta
check "at once, too" test $(($(ms) - began)) -lt 1500
wait "${waits[@]}"
mode yes
kill "$hook" && wait "$hook" 2>/dev/null
refused "webhook is down" policy.connect keys good
hook "$port"
check "webhook is up again: recovers at once" keys good
check "GetMeta says what the webhook says of itself" until_true 5 eval 'ask GetMeta | jq -e ".chain_id == 5"'

config <<-EOF
	[[policy.source]]
	type = "webhook"
	url = "http://localhost:$port"
	insecure_plain_http = true
EOF
restart
check "a name is looked up within the KMS's system calls" keys good
check "and a way in clear is in the log" grep -q 'INSECURE: policy in clear' "$work/kms.log"

# The way to it: TLS on both sides (GV-07).
ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1)
for ca in ca stranger; do openssl req -x509 "${ec[@]}" -subj "/CN=$ca" -keyout "$work/$ca.key" -out "$work/$ca.crt" 2>/dev/null; done
leaf() # leaf NAME CA
{
	openssl req "${ec[@]}" -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.csr" 2>/dev/null &&
		openssl x509 -req -in "$work/$1.csr" -CA "$work/$2.crt" -CAkey "$work/$2.key" -CAcreateserial -days 1 \
			-extfile <(echo subjectAltName=IP:127.0.0.1) -out "$work/$1.crt" 2>/dev/null
}
leaf server ca && leaf client ca && leaf nobody stranger
kill "$hook" && wait "$hook" 2>/dev/null
hook 0 "$work/server" "$work/ca.crt" && tls_port=$(cat "$work/hook.port") tls_hook=$hook
over_tls() # over_tls CA CLIENT
{
	printf '[[policy.source]]\ntype = "webhook"\nurl = "https://127.0.0.1:%s"\nca_file = "%s"\nclient_cert = "%s"\nclient_key = "%s"\n' \
		"$tls_port" "$work/$1.crt" "$work/$2.crt" "$work/$2.key" | config && restart
}
over_tls ca client
check "over TLS with certificates on both sides" keys good
over_tls stranger client
refused "a service whose certificate another CA signed (GV-07)" policy.tls keys good
over_tls ca nobody
refused "a certificate that the service does not know (GV-07)" policy. keys good
kill "$tls_hook"
hook "$port"

# Contracts.
wait "$compiling"
contracts=$?
cat "$work/contracts.log"
check "the contracts: upstream's ABI, events, storage and answers; compiled to what is committed" test "$contracts" = 0
on_chain contracts --artifacts contracts/out --json >"$work/deployed.json"
contract=$(jq -r .kms "$work/deployed.json")
check "contracts are put on the chain" test "${#contract}" = 42
id() { on_chain register --kms "$contract" --any-device --compose-hash "$compose" --json | jq -r .app_id; }
app1=$(id) app2=$(id)
check "two apps are registered" test "${#app1}" = 40 -a "${#app2}" = 40 -a "$app1" != "$app2"
source_of() # source_of URL [CHAIN_ID]
{
	printf '[[policy.source]]\ntype = "ethereum"\nurl = "%s"\nchain_id = %s\ncontract = "%s"\nconfirmations = 2\ntimeout = 2\nhead_max_age = 300\n' "$1" "${2-31337}" "$contract"
}
source_of "$chain" | config
restart
one=(--image "$work/images/one" --app "$app1")
evidence v1 "${one[@]}" --compose "$compose" && evidence v2 "${one[@]}" --compose "$compose2"
evidence other "${who[@]:0:2}" --app "$app2" --compose "$compose"
mine 3
refused "an image the contract does not know" policy.denied keys v1
check "which it is told" on_chain allow-image "$image" --kms "$contract"
refused "gv_03 an approval that is not confirmed yet" "confirmed block" keys v1
mine 2
check "confirmed: the contracts allow" keys v1
check "the other app, too" keys other
refused "an app that is not registered" "App not registered" keys good
refused "a version that is not allowed" "Compose hash not allowed" keys v2
check "GetMeta names contract and chain" until_true 5 eval 'ask GetMeta | jq -e --arg c "$contract" ".chain_id == 31337 and .kms_contract_address == \$c"'
check "upgrade in one transaction (GV-05)" on_chain allow "$app1" --compose-hash "$compose2" --replace
mine 2
check "version 2 boots" keys v2
refused "version 1 does not any more (GV-05)" "Compose version is below the floor" keys v1
refused "a stranger cannot suspend" chain. dstack app suspend "$app1" --rpc "$chain" --chain-id 31337 --key-file "$work/stranger.key"
check "the app's owner suspends it" on_chain suspend "$app1"
refused "it stops at once, unconfirmed (GV-06)" "App is suspended" keys v2
check "the other does not (GV-06)" keys other
on_chain resume "$app1" >/dev/null && mine 2
check "resumed" keys v2
check "the KMS's owner suspends the other" on_chain suspend "$app2" --kms "$contract"
refused "it stops" "App is suspended" keys other
check "the first does not" keys v2
on_chain resume "$app2" --kms "$contract" >/dev/null && mine 2
refused "a key file that others may read" "key" eval 'chmod 644 "$work/stranger.key" && dstack app suspend "$app1" --rpc "$chain" --chain-id 31337 --key-file "$work/stranger.key"'

# The chain misbehaves.
check "gv_03 before a reorganisation" keys v2
snapshot=$(rpc evm_snapshot | tr -d '"')
mine 6 && check "six blocks later" keys v2
rpc evm_revert "$snapshot" >/dev/null
refused "gv_03 six blocks are gone" policy.chain_reorg keys v2
mine 12 && check "gv_03 it heals when the new branch is confirmed" eval 'keys v2 || { mine 3 && keys v2; }'
rpc anvil_reorg 5 '[]' >/dev/null && refused "gv_03 a confirmed block is replaced" policy.chain_reorg keys v2
mine 6 && check "it heals again" eval 'keys v2 || { mine 3 && keys v2; }'
kill -STOP "$chain_pid"
began=$(ms)
refused "the node hangs" policy.timeout keys v2
check "within its time" test $(($(ms) - began)) -lt 3500
kill -CONT "$chain_pid"
check "the node is back: recovers at once" keys v2
source_of "$other" | config
restart
refused "a node of another chain" policy.chain_id keys v2
source_of "$other" 1 | config
restart
refused "no contract at the address (GV-04)" policy.chain_code keys v2

# dstack-auth in between: the chain behind the webhook protocol, for our KMS and for upstream's.
{
	echo "address = \"unix:$work/auth.sock\""
	source_of "$chain"
} >"$work/auth.toml"
dstack-auth -c "$work/auth.toml" 2>"$work/auth.log" &
auth=$!
pids+=("$auth")
until_true 5 test -S "$work/auth.sock"
config <<-EOF
	[[policy.source]]
	type = "webhook"
	url = "unix:$work/auth.sock"
	timeout = 3
EOF
restart
check "a KMS asks dstack-auth, which asks the chain" keys v2
refused "and says no for the contract's reason" "below the floor" keys v1
as_upstream() { curl -sS --unix-socket "$work/auth.sock" "http://auth$1" "${@:2}"; }
sed 's,^/bootAuth/app ,,' "$work/asked" >"$work/boot.json"
check "upstream's question, in hex with 0x" jq -e '.isAllowed == false and .gatewayAppId == "" and (.reason | test("App not registered"))' \
	<(as_upstream /bootAuth/app -H 'content-type: application/json' -d "$(jq -c '.appId = "0x" + .appId' "$work/boot.json")")
check "upstream's question about an app that is allowed" jq -e '.isAllowed == true and (.reason | type == "string")' \
	<(as_upstream /bootAuth/app -H 'content-type: application/json' -d "$(jq -c --arg a "$app1" --arg c "$compose2" '.appId = $a | .composeHash = $c' "$work/boot.json")")
check "it describes itself as upstream's server does" until_true 5 eval 'as_upstream / | jq -e --arg c "$contract" \
	".status == \"ok\" and .chainId == 31337 and .kmsContractAddr == \$c and (.appImplementation | length == 42) and .ethRpcUrl"'
load() # load GUESTS: at once; how many got no keys, and the slowest in ms
{
	build/bench/bench-kms-load "${kms_url#https://}" "$work"/kms/certs/{root-ca.crt,tmp-ca.crt,tmp-ca.key} "$work/pki" \
		"$work/images/one" "$app1" "$compose2" "$kms" "$1" >"$work/load" 2>"$work/load.err"
	sed 's/^/# /' "$work/load"
	lost=$(awk '$1 == "kms.load.lost" { print $2 }' "$work/load")
}
load 300
check "300 guests at once: none is lost" test "$lost" = 0
kill -STOP "$auth"
began=$(ms)
load 300
check "300 guests while it hangs: each is refused" test "$lost" = 300
check "in time" test $(($(ms) - began)) -lt 12000
kill -CONT "$auth"
# What had queued on its socket is in the way for a moment: the kernel refuses more until it is taken.
check "it answers again: recovers" until_true 3 keys v2

# Quorum: file, webhook, chain; two must allow and name one gateway.
cat >"$work/policy.json" <<-EOF
	{"development": true, "osImages": ["0x$image"], "apps": {"0x$app1": {"composeHashes": ["$compose2"], "allowAnyDevice": true}}}
EOF
quorum()
{
	{
		printf '[policy]\nneed = 2\n[[policy.source]]\ntype = "file"\nfile = "%s"\n' "$work/policy.json"
		printf '[[policy.source]]\ntype = "webhook"\nurl = "http://127.0.0.1:%s"\ntimeout = 1\n' "$port"
		source_of "$chain"
	} | config
}
quorum && restart
mode no && check "file and chain allow, the webhook does not: two are enough" keys v2
kill "$hook" && check "it may be down" keys v2
kill -STOP "$chain_pid"
refused "one of three is not enough" policy.quorum keys v2
kill -CONT "$chain_pid"
check "two are again" keys v2

# Our own file, changed with the same command.
echo 'development = true' >"$work/policy.toml"
in_file() { dstack app "$@" --policy "$work/policy.toml"; }
printf '[policy]\nfile = "%s"\n' "$work/policy.toml" | config
restart
{ in_file allow-image "$image" && in_file allow "$app1" --compose-hash "$compose" && in_file allow "$app2" --compose-hash "$compose"; } >/dev/null
check "an app allowed in a file" keys v1
check "upgraded there in one step (GV-05)" in_file allow "$app1" --compose-hash "$compose2" --replace
check "version 2 boots" keys v2
refused "version 1 does not (GV-05)" policy.compose_not_allowed keys v1
check "suspended there (GV-06)" in_file suspend "$app1"
refused "it stops" policy.app_suspended keys v2
check "the other does not (GV-06)" keys other
check "resumed" eval 'in_file resume "$app1" && keys v2'
