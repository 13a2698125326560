#!/bin/bash
# dstack-gateway as a whole: registration by certificates, names, passthrough and termination, refusals, what a
# kill -9 leaves. In a network namespace of its own, with WireGuard by wireguard-go; instances are addresses on lo.
set -uo pipefail
[ "${GATEWAY_NS:-}" ] || exec env GATEWAY_NS=1 unshare -n "$0" "$@"
. "$(dirname "$0")/lib.sh"
. tests/e2e/gateway/pki.sh
ulimit -n "$(ulimit -Hn)"
ip link set lo up
sysctl -q -w net.ipv4.ip_local_port_range="10240 65000"
if=gwt$$ pid=
app_a=$(printf 'a1%.0s' {1..20}) app_b=$(printf 'b2%.0s' {1..20})
one=$(printf '11%.0s' {1..20}) two=$(printf '22%.0s' {1..20}) three=$(printf '33%.0s' {1..20})
public=127.0.0.1:18443 rpc=https://127.0.0.1:18010/prpc admin=http://127.0.0.1:18011/prpc

end()
{
	kill $(jobs -p) 2>/dev/null
	[ "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	rm -f /var/run/wireguard/$if.sock
	[ "$failures" -eq 0 ] || tail -n 30 "$work/gateway.log" | sed 's/^/  # /'
	finish
}
trap 'end; [ "$failures" -eq 0 ] || exit 1' EXIT

config()
{
	cat >"$work/gateway.toml" <<C
state = "$work/gateway.db"
[rpc]
listen = "tcp:127.0.0.1:18010"
cert = "$work/gateway.pem"
key = "$work/gateway.key"
kms_ca = "$work/ca.pem"
[admin]
listen = "tcp:127.0.0.1:18011"
[wg]
interface = "$if"
private_key_file = "$work/wg.key"
endpoint = "192.0.2.1:51820"
listen_port = 51820
ip = "10.8.0.1/16"
client_ip_range = "10.8.0.0/29"
[proxy]
listen = "$public"
domain = "app.test"
cert = "$work/tls/cert.pem"
key = "$work/tls/key.pem"
external_port = 18443
workers = 2
max_connections_per_app = ${per_app:-4000}
[timeouts]
hello = "2s"
connect = "2s"
idle = "${idle:-60s}"
[lease]
duration = "${lease:-10m}"
grace = "${grace:-5m}"
${revocation:-}
${attestation:-}
C
}
start()
{
	dstack-gateway -c "$work/gateway.toml" 2>>"$work/gateway.log" &
	pid=$!
	until_true 20 curl -s --cacert "$work/ca.pem" "${rpc%/prpc}/health"
}
stop() # stop SIGNAL
{
	kill -"$1" "$pid"
	wait "$pid" 2>/dev/null
}
key() { wg genkey | wg pubkey; }
register() # register CERT KEY [POLICY]: the answer
{
	curl -sS --max-time 10 --cacert "$work/ca.pem" --cert "$work/$1.pem" --key "$work/$1.key" "$rpc/RegisterCvm?json" \
		-d "{\"client_public_key\":\"$2\"${3:+,\"port_policy\":$3}}"
}
answers() # answers JQ EXPECTED COMMAND…
{
	local jq=$1 want=$2 got
	shift 2
	got=$("$@" | tee "$work/answer" | jq -r "$jq") && [ "$got" = "$want" ] || { echo "want $want, got $got"; cat "$work/answer"; return 1; }
}
gives() # gives EXPECTED COMMAND…
{
	local want=$1 got
	shift
	got=$("$@") && [ "$got" = "$want" ] || { echo "want $want, got $got"; return 1; }
}
fails() { ! "$@"; }
open_port() { (: <>"/dev/tcp/$1/$2") 2>/dev/null; }
refuses() { answers .code "$@"; }
visit() # visit NAME [CURL ARGUMENTS]
{
	local name=$1
	shift
	curl -sS --max-time 8 --http1.1 --cacert "$work/tls/ca.pem" --connect-to "::$public" "$@" "https://$name.app.test/"
}
tls_refused() # tls_refused NAME: the alert, and by it
{
	[[ $(openssl s_client -connect $public -servername "$1" </dev/null 2>&1) = *"unrecognized name"* ]]
}
serve() { # serve IP PORT TEXT: plain HTTP
	python3 - "$@" 2>/dev/null <<'P' &
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        b = sys.argv[3].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(b))); self.end_headers(); self.wfile.write(b)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), H).serve_forever()
P
}
served() { [ "$(visit "$1")" = "$2" ]; }

pki_root "$work"; pki_root "$work" other; pki_server "$work"
pki_instance "$work" one "$app_a" "$one"; pki_app "$work" two "$app_a" "$two"; pki_instance "$work" three "$app_b" "$three"
pki_instance "$work" thief "$app_b" "$one"; pki_instance "$work" stranger "$app_a" "$three" other
pki_sign "$work" plain nobody 'extendedKeyUsage=clientAuth'
pki_instance "$work" same "$app_b" "$app_a"
check "development certificate" dstack-gateway dev-cert --domain app.test --out "$work/tls"
config
check "configuration is valid" dstack-gateway -c "$work/gateway.toml" --check
cp "$work/gateway.toml" "$work/bad.toml"; sed -i 's/10.8.0.0\/29/10.9.0.0\/29/' "$work/bad.toml"
refused "client range outside the network" config.wg dstack-gateway -c "$work/bad.toml" --check
{ echo 'admin.listn = 1'; cat "$work/gateway.toml"; } >"$work/bad.toml"
refused "unknown key" config.unknown_key dstack-gateway -c "$work/bad.toml" --check
check "starts" start

# Registration
k1=$(key) k2=$(key) k3=$(key)
check "Info" answers .base_domain app.test curl -sS --cacert "$work/ca.pem" "$rpc/Info?json" -d '{}'
check "Info under its full name" answers .external_port 18443 curl -sS --cacert "$work/ca.pem" "$rpc/Gateway.Info?json" -d '{}'
check "unknown method" answers .error "Service not found: Nothing" curl -sS --cacert "$work/ca.pem" "$rpc/Nothing?json" -d '{}'
check "register" answers .wg.client_ip 10.8.0.2 register one "$k1"
check "its server peer" answers '.wg.servers[0] | .ip + " " + .endpoint' "10.8.0.1/16 192.0.2.1:51820" register one "$k1"
check "its own key" answers '.wg.servers[0].pk' "$(wg pubkey <"$work/wg.key")" register one "$k1"
check "what the agent is told" answers '.agent | "\(.domain) \(.external_port) \(.internal_port)"' "app.test 18443 8090" register one "$k1"
check "registering again keeps the address" answers .wg.client_ip 10.8.0.2 register one "$k1"
check "second instance" answers .wg.client_ip 10.8.0.3 register two "$k2"
check "other app" answers .wg.client_ip 10.8.0.4 register three "$k3"
check "no certificate" refuses register.no_certificate curl -sS --cacert "$work/ca.pem" "$rpc/RegisterCvm?json" -d "{\"client_public_key\":\"$k1\"}"
check "certificate without app info" refuses register.no_certificate register plain "$k1"
check "certificate of another root" fails register stranger "$(key)"
check "instance of another app" refuses register.app_mismatch register thief "$(key)"
check "instance named like an app" refuses register.id register same "$(key)"
check "key of another instance" refuses wg.key_taken register two "$k1"
check "malformed key" refuses wg.key register one "AAAA"
check "port policy with port 0" refuses register.port_policy register one "$k1" '{"ports":[{"port":0}]}'
check "peers in WireGuard" gives 3 sh -c "wg show $if peers | wc -l"
check "their addresses" gives 10.8.0.2/32 sh -c "wg show $if allowed-ips | grep -F '$k1' | cut -f2"
k1b=$(key)
check "a new key replaces the old" answers .wg.client_ip 10.8.0.2 register one "$k1b"
check "still three peers" gives 3 sh -c "wg show $if peers | wc -l"

# Names
for ip in 2 3 4; do ip addr add 10.8.0.$ip/32 dev lo; done
serve 10.8.0.2 8080 one; serve 10.8.0.3 8080 two; serve 10.8.0.4 8080 three; serve 10.8.0.4 80 eighty
for at in '2 8080' '3 8080' '4 8080' '4 80'; do until_true 20 open_port 10.8.0.$at; done
check "by instance, TLS ends here" served "$one-8080" one
check "the other instance" served "$two-8080" two
check "by app" served "$app_b-8080" three
check "port 80 unless said" served "$app_b" eighty
check "upper case" [ "$(curl -sS --cacert "$work/tls/ca.pem" --connect-to "::$public" "https://${app_b^^}-8080.app.test/")" = three ]
check "no instance answers: 502" gives 502 visit "$app_b-9" -o /dev/null -w '%{http_code}'
check "g offers only h2" gives 1 sh -c "openssl s_client -connect $public -servername $app_b-8080g.app.test -alpn h2,http/1.1 </dev/null 2>&1 | grep -c 'ALPN protocol: h2'"
for bad in "$app_b-8080x" "$app_b-0" "$app_b-99999" "$app_b-8080sg" "x$app_b" nothing "$app_b-1-2" "$(printf '77%.0s' {1..20})-8080"; do
	check "no such name: ${bad:0:12}…${bad: -8}" tls_refused "$bad.app.test"
done
check "name under another domain" tls_refused "$app_b-8080.example.com"
check "no name at all" sh -c "openssl s_client -connect $public -noservername </dev/null 2>&1 | grep -q 'unrecognized name'"
check "plain HTTP is told" gives 400 curl -s -o /dev/null -w '%{http_code}' http://$public/
check "port policy" register three "$k3" '{"ports":[{"port":8080}],"restrict_mode":true}'
check "listed port" served "$app_b-8080" three
check "other port refused" tls_refused "$app_b.app.test"
check "policy taken back" register three "$k3" '{"ports":[],"restrict_mode":false}'
check "port again" served "$app_b" eighty
seen() { local all; all=$(for i in 1 2 3 4 5 6 7 8; do visit "$app_a-8080" --limit-rate 1 & done; wait $(jobs -p | tail -8)); [[ $all = *one* && $all = *two* ]]; }
check "an app's connections are spread" seen

# A quiet backend sees nothing of unknown names.
python3 - $public "$work/quiet" <<'P' &
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("10.8.0.4", 9090)); s.listen(); s.settimeout(6)
try: s.accept(); open(sys.argv[2], "w").write("connected")
except OSError: open(sys.argv[2], "w").write("quiet")
P
quiet=$!
tls_refused "x$app_b-9090s.app.test"; tls_refused "$(printf '78%.0s' {1..20})-9090s.app.test"
(exec 3<>/dev/tcp/${public/://} && printf 'garbage\r\n\r\n' >&3 && timeout 2 cat <&3) >/dev/null
wait $quiet
check "unknown names reach no backend" grep -qx quiet "$work/quiet"
check "a client that says nothing is let go" timeout 8 python3 -c "
import socket; s = socket.create_connection(('127.0.0.1', 18443)); s.sendall(b'\x16\x03\x01'); s.settimeout(6); assert s.recv(1) == b''"

# TLS that ends in the instance: the certificate is its own
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=inside -keyout "$work/in.key" -out "$work/in.pem" 2>/dev/null
openssl s_server -accept 10.8.0.4:8443 -cert "$work/in.pem" -key "$work/in.key" -www >/dev/null 2>&1 &
until_true 10 open_port 10.8.0.4 8443
check "passthrough shows the instance's certificate" sh -c "openssl s_client -connect $public -servername $app_b-8443s.app.test </dev/null 2>&1 | grep -q 'subject=CN = inside'"
head -c 30000000 /dev/urandom >"$work/big"
(cd "$work" && exec python3 -m http.server 8081 --bind 10.8.0.4) >/dev/null 2>&1 &
until_true 10 open_port 10.8.0.4 8081
big() { curl -sS --max-time 60 --http1.1 --cacert "$work/tls/ca.pem" --connect-to "::$public" "$@" "https://$app_b-8081.app.test/big" | cmp - "$work/big"; }
check "30 MB through termination" big
check "to a slow reader" big --limit-rate 8M

# The relay
python3 tests/e2e/gateway/relay.py $public 10.8.0.4:7444 "$app_b-7444s.app.test" "$pid" || failures=$((failures + 1))
confined() { [ "$(grep -h ^Seccomp: /proc/$pid/task/*/status | grep -c 2)" = 2 ]; }
check "both reactors are confined" confined
check "Status counts" answers '.hosts | length' 3 curl -sS "$admin/Status?json" -d '{}'
check "GetInfo" answers '.info.ip' 10.8.0.2 curl -sS "$admin/GetInfo?json" -d "{\"id\":\"$one\"}"

# What a kill leaves
before=$(pgrep -f "wireguard-go $if")
stop KILL
check "wireguard-go outlives a kill -9" pgrep -f "wireguard-go $if"
check "starts again" start
check "the same wireguard-go" [ "$before" = "$(pgrep -f "wireguard-go $if")" ]
check "routes are back" served "$one-8080" one
check "peers are back" gives 3 sh -c "wg show $if peers | wc -l"
kill -9 "$before"
peers_are() { [ "$(wg show $if peers | wc -l)" = "$1" ]; }
check "WireGuard's process killed: made anew with its peers" until_true 20 peers_are 3
check "addresses stick" answers .wg.client_ip 10.8.0.3 register two "$k2"
for i in 4 5 6; do pki_instance "$work" more$i "$app_b" "$(printf "5$i%.0s" {1..20})"; done
check "pool: the next" answers .wg.client_ip 10.8.0.5 register more4 "$(key)"
check "pool: the last" answers .wg.client_ip 10.8.0.6 register more5 "$(key)"
check "pool is used up" refuses register.full register more6 "$(key)"
cp "$work/tls/cert.pem" "$work/tls/old.pem"
rm "$work"/tls/cert.pem && dstack-gateway dev-cert --domain app.test --out "$work/tls" >/dev/null
kill -HUP "$pid"
serial() { openssl s_client -connect $public -servername "$app_b-8080.app.test" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
fresh() { [ "$(serial)" = "$(openssl x509 -noout -serial <"$work/tls/cert.pem")" ]; }
check "a new certificate is served after SIGHUP" until_true 5 fresh
stop TERM
check "SIGTERM takes the interface along" sh -c "! ip link show $if"

# A real tunnel: an instance in a namespace of its own, reached over WireGuard only
unshare -n sleep 600 &
cvm=$!
until_true 5 sh -c "[ \"\$(readlink /proc/$cvm/ns/net)\" != \"\$(readlink /proc/$$/ns/net)\" ]"
inside() { nsenter -t $cvm -n "$@"; }
ip link add vg type veth peer name vc netns $cvm
ip addr add 192.0.2.1/24 dev vg; ip link set vg up
inside ip addr add 192.0.2.2/24 dev vc; inside ip link set vc up; inside ip link set lo up
check "starts for the tunnel" start
(umask 077; wg genkey >"$work/cvm.key")
four=$(printf '54%.0s' {1..20})
check "the instance registers" answers .wg.client_ip 10.8.0.5 register more4 "$(wg pubkey <"$work/cvm.key")"
inside wireguard-go ${if}c >/dev/null 2>&1
check "the instance's tunnel" inside wg set ${if}c private-key "$work/cvm.key" listen-port 9182 peer "$(jq -r '.wg.servers[0].pk' "$work/answer")" \
	endpoint 192.0.2.1:51820 allowed-ips 10.8.0.1/32 persistent-keepalive 25
inside ip addr add 10.8.0.5/32 dev ${if}c; inside ip link set ${if}c up; inside ip route add 10.8.0.1/32 dev ${if}c
serve_in() { (exec nsenter -t $cvm -n python3 -m http.server 8080 --bind 10.8.0.5 --directory "$work/tls") >/dev/null 2>&1 & }
serve_in
through() { curl -sS --max-time 8 --cacert "$work/tls/ca.pem" --connect-to "::$public" "https://$four-8080.app.test/ca.pem" | cmp - "$work/tls/ca.pem"; }
check "an instance behind WireGuard answers" until_true 10 through
shook() { [ "$(curl -sS "$admin/GetInfo?json" -d "{\"id\":\"$four\"}" | jq .info.latest_handshake)" -gt 0 ]; }
check "its handshake is seen" until_true 15 shook
stop KILL
check "starts after kill -9 with the tunnel up" start
check "and the tunnel carries on" through
stop TERM
rm -f /var/run/wireguard/${if}c.sock
kill $cvm

# Limits
idle=2s per_app=3; config
check "starts with small limits" start
hold() { # hold SECONDS: connections to the quiet port, and how they end
	python3 - $public "$three" "$1" <<'P'
import socket, ssl, sys, time
host, port = sys.argv[1].split(":"); name = sys.argv[2] + "-8080.app.test"
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
def dial():
    s = ctx.wrap_socket(socket.create_connection((host, int(port))), server_hostname=name)
    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"); s.settimeout(8); assert s.recv(64); return s
held = [dial() for _ in range(3)]
try: dial(); print("a fourth was let in")
except ssl.SSLError as e: print("fourth refused")
began = time.time(); held[0].settimeout(8)
while held[0].recv(1000): pass
took = time.time() - began
print("idle ended" if 1.5 < took < 5 else f"idle took {took}")
P
}
check "three connections an app, idle ones end" gives $'fourth refused\nidle ended' hold 8
stop TERM
per_app=4000 idle=60s

# Leases
lease=2s grace=2s; config
check "starts with short leases" start
check "registers" register one "$k1b"
check "is served" served "$one-8080" one
check "quarantined when it falls silent" until_true 12 tls_refused "$one-8080.app.test"
check "comes back by registering" register one "$k1b"
check "is served again" served "$one-8080" one
stop TERM

# Revoked certificates. A KMS that has lists and nothing else; openssl makes them.
lease=10m grace=5m revocation=$'[revocation]\nkms_urls = ["https://127.0.0.1:18020"]\ncheck_s = 1'
rm -f "$work"/gateway.db*; config
app_c=$(printf 'c3%.0s' {1..20}) five=$(printf '55%.0s' {1..20})
pki_app "$work" five "$app_c" "$five"
mkdir -p "$work/kms/crl"
kms() {
	python3 - "$work" <<'P' &
import http.server, ssl, sys
class H(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *a): super().__init__(*a, directory=sys.argv[1] + "/kms")
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 18020), H)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); tls.load_cert_chain(sys.argv[1] + "/gateway.pem", sys.argv[1] + "/gateway.key")
s.socket = tls.wrap_socket(s.socket, server_side=True); s.serve_forever()
P
	kms=$!
	until_true 10 open_port 127.0.0.1 18020
}
ca() { openssl ca -config "$work/ca.cnf" -cert "$work/${ca:-five-ca}.pem" -keyfile "$work/${ca:-five-ca}.key" "$@" 2>/dev/null; }
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index.txt\ncrlnumber=%s/number\ndefault_md=sha256\n' "$work" "$work" >"$work/ca.cnf"
fresh_ca() { : >"$work/index.txt"; echo 01 >"$work/number"; }
list() # list SECONDS
{
	ca -gencrl -crlsec "$1" | openssl crl -outform DER -out "$work/kms/crl/new" && mv "$work/kms/crl/new" "$work/kms/crl/app-$app_c-0.crl"
}
five() { register five "$k5"; }
fresh_ca; kms; k5=$(key)
refused "a KMS's URL without TLS" config.value sh -c "sed 's,https://127.0.0.1:18020,http://127.0.0.1:18020,' '$work/gateway.toml' >'$work/bad.toml'; dstack-gateway -c '$work/bad.toml' --check"
check "starts with a KMS to ask" start
check "no list, no registration" refuses crl.stale five
ca=two-ca list 3600
check "a list of another CA is none" until_true 5 refuses crl.invalid five
list 3600
check "with a list it registers" until_true 8 answers .wg.client_ip 10.8.0.2 five
check "is served" served "$five-8080" one
held() { # how a connection that is there ends
	python3 - $public "$five" <<'P'
import socket, ssl, sys, time
host, port = sys.argv[1].split(":")
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
s = ctx.wrap_socket(socket.create_connection((host, int(port))), server_hostname=sys.argv[2] + "-8080.app.test")
s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"); s.settimeout(20); assert s.recv(64)
try:
    while s.recv(1000): pass
except ConnectionResetError: pass
print("ended")
P
}
held >"$work/held" &
held=$!
sleep 1
began=$SECONDS
ca -revoke "$work/five.pem" && list 3600
check "revoked: its name leads nowhere" until_true 8 tls_refused "$five-8080.app.test"
wait $held
check "and connections that were there are cut" grep -q ended "$work/held"
check "long before a minute" test $((SECONDS - began)) -lt 10
check "it does not register again" refuses revoked.cert five
stop KILL
check "starts again" start
check "still nowhere" tls_refused "$five-8080.app.test"
fresh_ca; sleep 1; list 3600
check "taken back: its name leads to it again" until_true 10 served "$five-8080" one
list 7
sleep 2.5
{ kill $kms && wait $kms; } 2>/dev/null
check "the KMS is silent: the last list holds" served "$five-8080" one
check "also for registrations" answers .wg.client_ip 10.8.0.2 five
stop KILL
check "starts while it is silent" start
check "also over a restart" served "$five-8080" one
check "until its end" until_true 12 tls_refused "$five-8080.app.test"
check "then nothing registers" refuses crl.stale five
kms; list 3600
check "the KMS is back, and so is the name" until_true 12 served "$five-8080" one
stop TERM
kill $kms
revocation=

# Evidence in the certificate
attestation=$'[attestation]\nenabled = true\nrequired = true\npccs_url = "http://127.0.0.1:9"'
lease=10m; config
pki_sign "$work" forged dstack-guest-agent "extendedKeyUsage=clientAuth
1.3.6.1.4.1.62397.1.8=DER:0404deadbeef
1.3.6.1.4.1.62397.1.9=DER:$(app_info "$app_a" "$one")"
check "starts with attestation" start
check "a certificate without evidence" refuses ratls.no_evidence register one "$k1b"
check "in the words guests look for" answers .error "no attestation provided" register one "$k1b"
unverified() { register forged "$k1b" | tee "$work/answer" | jq -e '.error and (.wg | not)'; }
check "malformed evidence" unverified
stop TERM
attestation=$'[attestation]\nenabled = true\ndevelopment_root = "/nowhere"'
config
refused "development root without the switch" config.development_root dstack-gateway -c "$work/gateway.toml" --check
