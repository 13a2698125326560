#!/bin/bash
# What the agent tells anybody: dashboard and logs on the real program, with a made-up container engine whose every word is
# hostile. Who leaves a log in silence gives the place back. The pages in Chromium.
. "$(dirname "$0")/lib.sh"
tool=$PWD/build/tests/tools/faketdx tests=$PWD/tests/e2e/dashboard
pids=()
cleanup()
{
	kill "${pids[@]}" 2>/dev/null
	ip netns del "dash$$" 2>/dev/null
	finish
	[ "$failures" -eq 0 ] || exit 1
}
trap cleanup EXIT

export DCAP_TDX_QUOTE_CONFIGFS_PATH=$work/tsm DCAP_TDX_RTMR_SYSFS_PATH=$work/tsm
export DSTACK_CCEL_FILE=$PWD/tests/evidence/real/dstack/cc-eventlog/ccel.bin DSTACK_RUNTIME_LOG_DIR=$work/run
mkdir -p "$work/run" "$work/engine" "$work/shots"
dstack-softtee pki --dir "$work/pki"
"$tool" --tree "$work/tsm" --pki "$work/pki" --ccel "$DSTACK_CCEL_FILE" serve >"$work/tsm.log" 2>&1 &
pids+=($!)
until_true 5 grep -q ready "$work/tsm.log" || not_ok "the fake TDX tree is not ready"
app=5bb4ff9a3837357f19dc176407a5709c62eb6c56
"$tool" --version 1 emit system-preparing= app-id=$app compose-hash="$(printf 'c%.0s' {1..64})" instance-id=1691ed1b47506cad7d08834668691d88246f5b1f \
	boot-mr-done= key-provider="$(printf '{"name":"<b>kms</b>","id":"aa"}' | xxd -p -c 999)" system-ready= || not_ok "runtime events"

export APP_NAME='<script>alert(1)</script>"'\''&amp; café' EVIL_NAME='"><img src=x onerror=alert(2)>\r\nX: y'
compose() # compose LOGS SYSINFO TCBINFO
{
	jq -n --arg n "$APP_NAME" --argjson l "$1" --argjson s "$2" --argjson t "$3" '{manifest_version: 2, name: $n, runner: "docker-compose",
		docker_compose_file: "services: {secretimage: {}}\n", public_logs: $l, public_sysinfo: $s, public_tcbinfo: $t}' >"$work/app-compose.json"
}
jq -n '{kms_urls: [], vm_config: ({os_image_hash: "e61be43dd1cc6a6f5edefd7c51b608983780839b0000ce60dd99737dcffe09b9", cpu_count: 1} | tojson)}' >"$work/sys-config.json"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" -subj "/CN=App Root Cert" -days 30 2>/dev/null
(umask 077 && jq -n --rawfile key "$work/ca.key" --rawfile crt "$work/ca.crt" '{k256_key: "d6e88992cdeeee35fe70b5db61ab66cdb191fb9b6ec9313757ef162dd7214d5d",
	k256_signature: "", disk_crypt_key: "00", ca_cert: $crt, gateway_app_id: "", key_provider: {Local: {key: $key, mr: "aa"}}}' >"$work/appkeys.json")
config() # config NAME: one of several agents, each with its own sockets
{
	jq -n --arg w "$work" --arg n "$1" '{default: {core: {data_disks: ["/"], tee: "tdx", engine: "\($w)/engine.sock", keys_file: "\($w)/appkeys.json",
		compose_file: "\($w)/app-compose.json", sys_config_file: "\($w)/sys-config.json"}},
		internal: {address: "unix:\($w)/\($n).sock", folder_address: "unix:\($w)/run/\($n)/dstack.sock"}, "internal-v0": {address: "", folder_address: ""},
		external: {address: "tcp:0.0.0.0:0"}, "guest-api": {address: "unix:\($w)/\($n)-guest.sock"}}' >"$work/$1.json"
}
start() # start NAME: sets url
{
	config "$1"
	: >"$work/$1.out"
	dstack-guest-agent -c "$work/$1.json" >"$work/$1.out" 2>"$work/$1.log" &
	agent=$!
	pids+=("$agent")
	until_true 5 grep -q ready "$work/$1.out" || { cat "$work/$1.log" && return 1; }
	port=$(sed -n 's/.*address=tcp:.* port=\([0-9]*\).*/\1/p' "$work/$1.log")
	url=http://127.0.0.1:$port
}
is() { [ "$1" = "$2" ] || { echo "got: $1" && echo "want: $2" && return 1; }; }
asked() { grep -c "$1" "$work/engine/asked"; }

# The engine: what it lists and what the containers write is meant to break something.
jq -n --arg e "$EVIL_NAME" '[
	{Id: "aa11", Names: ["/web"], Image: "secretimage", State: "running", Status: "Up 2 hours <i>\u202e</i></table>", Labels: {"<x>": "</script>"}},
	{Id: "bb22", Names: ["/\($e)"], State: "exited", Status: "</td><script>alert(3)</script>"},
	{Id: "cc33", Names: ["/../../images/json?all=true"], State: "dead", Status: ""},
	{Id: "<u>", Names: [], State: "x", Status: "a\u0000\u0001\r\nSet-Cookie: a=b"}]' >"$work/engine/list.json"
printf '<script>alert(4)</script>\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n0\r\n\r\n<img src=x onerror=alert(5)>\n\033[31m\377\0"}\n' >"$work/engine/web.log"
printf 'private words\n' >"$work/engine/secretlog.log"
node "$tests/engine.mjs" "$work/engine.sock" "$work/engine" >"$work/engine.out" 2>&1 &
pids+=($!)
until_true 5 grep -q ready "$work/engine.out" || not_ok "the engine is not ready"
: >"$work/engine/asked"

compose true true true
check "starts with all three switches on" start on
on=$url on_port=$port on_agent=$agent
curl -sS -D "$work/head" -o "$work/page" "$on/"

ga_04_dashboard() # the words are there, as text; and the policy lets nothing run that might have slipped through
{
	local w
	for w in '&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;amp; café' '&quot;&gt;&lt;img src=x onerror=alert(2)&gt;' '&lt;/td&gt;&lt;script&gt;alert(3)' \
		'&lt;b&gt;kms&lt;/b&gt;' '<bdi>&lt;u&gt;</bdi>' '<bdi>../../images/json?all=true</bdi>'; do
		grep -qF "$w" "$work/page" || { echo "missing: $w" && return 1; }
	done
	! grep -E '<(script|img|i|u|b)\b|</td><script' "$work/page" && ! grep -q $'\r' "$work/page" &&
		is "$(grep -c 'href="/logs/' "$work/page")" 1 &&
		grep -qi "^content-security-policy: default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]*='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" "$work/head" &&
		grep -qi '^x-content-type-options: nosniff' "$work/head" && ! grep -qi '^set-cookie' "$work/head"
}
check "GA-04: hostile app and container names on the dashboard are text" ga_04_dashboard
style() { sed -n 's/.*sha256-\([^'\'']*\).*/\1/p' "$work/head"; }
check "the policy's hash is that of the page's style" is "$(style)" "$(python3 -c 'import sys, re, hashlib, base64
print(base64.b64encode(hashlib.sha256(re.search(b"<style>(.*)</style>", open(sys.argv[1], "rb").read(), re.S)[1]).digest()).decode())' "$work/page")"
check "the host sees the same containers, as data" is "$(curl -sS --unix-socket "$work/on-guest.sock" -d '{}' 'http://x/api/ListContainers?json' |
	jq -r '.containers | length, .[1].names[0]')" "$(printf '4\n/%s' "$EVIL_NAME")"

ga_04_log_names() # none of it reaches the engine, whatever the name of a container is said to be
{
	local before path
	before=$(wc -l <"$work/engine/asked")
	while read -r path; do
		code=$(curl -sS --path-as-is -o "$work/body" -w '%{http_code}' "$on$path") || return 1
		case $code in 400 | 404) ;; *) echo "$path: $code" && return 1 ;; esac
		grep -q 'private\|HTTP/1' "$work/body" && echo "$path: $(cat "$work/body")" && return 1
	done <<-'EOF'
		/logs/
		/logs/../containers/json
		/logs/..%2f..%2fimages%2fjson
		/logs/web/../secretlog
		/logs/web%2f..%2fsecretlog
		/logs/web%0d%0aX:%20y
		/logs/web%00
		/logs/web%3fall=true
		/logs/web%23
		/logs/%2e%2e
		/logs/.web
		/logs/-web
		/logs/web;secretlog
		/logs/web%20HTTP/1.1
		/logs/caf%c3%a9
		/logs/<script>
		/logs/web?tail=1%26follow=true%26x
		/logs/web?tail=1%20HTTP/1.1%0d%0aX:%20y
		/logs/web?since=1%26stdout=false
		/logs/web?until=5%0a
		/logs/web?follow=maybe
		/logs/web?tail=-1
	EOF
	is "$(wc -l <"$work/engine/asked")" "$before"
}
check "GA-04: hostile container names and parameters never reach the engine" ga_04_log_names
ga_04_log_text() # what a container writes is the body and nothing else
{
	curl -sS -D "$work/head" -o "$work/body" "$on/logs/web?text&bare&ansi" && grep -qi '^content-type: text/plain; charset=utf-8' "$work/head" &&
		grep -qi '^x-content-type-options: nosniff' "$work/head" && is "$(grep -ci '^content-type' "$work/head")" 1 &&
		cmp "$work/body" <(sed 's/\xff/\xef\xbf\xbd/' "$work/engine/web.log") &&
		curl -sS "$on/logs/web?text" | jq -es 'length == 9 and all(.channel == "stdout") and .[0].message == "<script>alert(4)</script>\n"' &&
		is "$(curl -sS "$on/logs/web" | jq -r .message | while read -r m; do base64 -d <<<"$m"; done | sha256sum)" "$(sha256sum <"$work/engine/web.log")"
}
check "GA-04: hostile log text" ga_04_log_text
ga_04_terminal() { ! curl -sS "$on/logs/web?text&bare" | grep -q $'\033'; }
check "GA-04: terminal escapes are gone unless asked for" ga_04_terminal
before=$(asked 'GET /containers/json')
for _ in $(seq 40); do printf 'url = "%s"\noutput = /dev/null\n' "$on/"; done | curl -s -Z --parallel-max 40 -K - 2>/dev/null
check "forty ask for the dashboard, the engine is asked at most once a second" test "$(asked 'GET /containers/json')" -le $((before + 3))

# Followers: places, and who leaves.
followers() { echo $(($(asked '^GET .*follow=true') - $(asked '^end .*follow=true'))); }
none() { [ "$(followers)" = 0 ]; }
some() { [ "$(followers)" = "$1" ]; }
many=()
follow_from() # follow_from ADDRESS: eight of them
{
	for _ in 1 2 3 4 5 6 7 8; do
		curl -sS -N --interface "$1" "$on/logs/web?follow" >/dev/null 2>&1 &
		many+=($!)
		disown $!
	done
}
refused_to() { curl -sS --interface "$1" "$on/logs/web" | jq -e --arg t "$2" '.code == "agent.logs_busy" and .error == $t'; }
follow_from 127.0.0.1
check "eight follow from one address" until_true 5 some 8
check "a ninth is refused" refused_to 127.0.0.1 'too many readers of logs from your address'
check "not one from another address" eval 'curl -sS --interface 127.0.0.2 "$on/logs/web?text&bare" | grep -q alert'
for a in 127.0.0.2 127.0.0.3 127.0.0.4; do follow_from $a; done
check "thirty-two follow from four addresses" until_true 10 some 32
check "nobody else is served" refused_to 127.0.0.5 'too many readers of logs'
kill -9 "${many[@]}"
check "they are killed, the log stays silent: their places are free at once" until_true 10 none
half() { printf 'GET /logs/web?follow&text&bare HTTP/1.1\r\nHost: x\r\n\r\n' | timeout 5 socat -t 5 - "TCP:127.0.0.1:$on_port" >"$work/half" && grep -q 'alert(4)' "$work/half"; }
check "who closes only the sending side gets the log, and the end" half
net=10.$((128 + $$ % 100)).$(($$ / 100 % 256))
vanish() # a machine that is gone says nothing at all, not even that it leaves
{
	ip netns add "dash$$" && ip link add "dsh$$" type veth peer name eth0 netns "dash$$" && ip addr add $net.1/30 dev "dsh$$" && ip link set "dsh$$" up &&
		ip -n "dash$$" addr add $net.2/30 dev eth0 && ip -n "dash$$" link set eth0 up
}
check "a network to lose" vanish
ip netns exec "dash$$" curl -sS -N "http://$net.1:$on_port/logs/web?follow" >"$work/far" 2>&1 &
pids+=($!)
check "one follows from another machine" eval 'until_true 10 some 1 || { followers && cat "$work/far" && false; }'
ip -n "dash$$" link set eth0 down
gone=$SECONDS

# All switches off, on a second agent beside the first.
compose false false false
check "starts with all three switches off" start off
off=$url
ga_03_off()
{
	local p w
	nobody=$(curl -sS "$off/nothing-here")
	for p in metrics logs/web logs/secretlog 'logs/web?follow' logs/nobody; do
		is "$(curl -sS -w '%{http_code}' "$off/$p")" "${nobody}404" || return 1
	done
	curl -sS "$off/" >"$work/page" && grep -q '<bdi>web</bdi>' "$work/page" || return 1
	for w in "$(uname -r)" ' GB' MB uptime Memory kernel 'private words' 'alert(4)' /logs /metrics rtmr mrtd event_log secretimage "$(sha256sum <"$work/app-compose.json" | cut -c-64)" \
		"$(printf 'c%.0s' {1..64})" e61be43dd1cc "$(xxd -p -c 99 "$work/tsm/rtmr3:sha384" | cut -c-40)"; do
		sed '/<style>/,/<\/style>/d' "$work/page" | grep -qiF -- "$w" && echo "the page has: $w" && return 1
	done
	curl -sS "$off/prpc/Worker.Info" | jq -e '.tcb_info == "" and .vm_config == ""'
}
check "GA-03: with the switches off nothing of it is told" ga_03_off
switch_alone() # switch_alone LOGS SYSINFO TCBINFO: only what that switch shows
{
	kill "$agent" && wait "$agent" 2>/dev/null
	compose "$1" "$2" "$3" && start one && curl -sS "$url/" >"$work/page" || return 1
	for w in "$1:href=\"/logs/web" "$2:Memory" "$2:href=\"/metrics" "$3:rtmr3"; do
		case ${w%%:*} in true) grep -qF -- "${w#*:}" "$work/page" ;; *) ! grep -qF -- "${w#*:}" "$work/page" ;; esac || { echo "$1 $2 $3: $w" && return 1; }
	done
}
ga_03_each() { switch_alone true false false && switch_alone false true false && switch_alone false false true; }
check "GA-03: each switch shows its own part" ga_03_each
kill "$agent" && wait "$agent" 2>/dev/null
compose false false false
check "starts again with the switches off" start off
off=$url

# In Chromium.
SHOTS=${SHOTS:-} timeout 120 node "$tests/browser.mjs" "$on/" "$off/" >"$work/lines" 2>&1
case $? in 0 | 1) ;; *) echo "not ok - the browser's tests ended early" >>"$work/lines" ;; esac
grep -q '^ok - chromium' "$work/lines" || echo "not ok - nothing ran in chromium" >>"$work/lines"
cat "$work/lines"
failures=$((failures + $(grep -c '^not ok' "$work/lines" || true)))

# An engine that says nothing holds up nobody but who asks for it, and those are told in time.
touch "$work/engine/mute"
sleep 1.1
curl -sS -o "$work/body" -w '%{http_code}' "$on/" >"$work/code" &
slow=$!
curl -sS --unix-socket "$work/on-guest.sock" -d '{}' 'http://x/api/ListContainers?json' >"$work/list" &
slow2=$!
quick() { curl -sS --max-time 1 "$on/prpc/Worker.Version" && curl -sS --max-time 1 --unix-socket "$work/on.sock" 'http://x/GetKey?path=a' && curl -sS --max-time 1 "$on/metrics"; }
check "an engine that says nothing does not hold up the agent" eval 'for _ in 1 2 3 4 5; do quick >/dev/null || exit 1; sleep 0.2; done'
wait $slow $slow2
check "the dashboard then is an error, in text" eval 'is "$(cat "$work/code")" 500 && is "$(cat "$work/body")" "the state of this guest cannot be read now"'
check "so is the list of containers" grep -q agent.engine "$work/list"
rm "$work/engine/mute"
printf 'not JSON <script>' >"$work/engine/list.json"
ga_03_error() { is "$(curl -sS -w '%{http_code}' "$on/")" $'the state of this guest cannot be read now\n500'; }
check "GA-03: an error tells nothing of what went wrong inside" ga_03_error
check "the log has it" grep -q 'dashboard: the container engine sent no list.*code=agent.engine' "$work/on.log"
check "the machine that vanished has lost its place, $((SECONDS - gone)) s ago it went" until_true 30 none
kill "$on_agent"
check "stops" wait "$on_agent"
