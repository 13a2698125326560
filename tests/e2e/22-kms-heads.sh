#!/bin/bash
# KMSs that follow each other's audit logs, on the real programs: a log that is put back, forked or hidden is found by
# its peer, by whoever asks the peer, and by the KMS itself; a peer that lies, hangs or is down disturbs nobody (KM-18).
. "$(dirname "$0")/lib.sh"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

ports=($(python3 -c 'import socket
s = [socket.socket() for _ in range(3)]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*[x.getsockname()[1] for x in s])'))
url_a=https://127.0.0.1:${ports[0]} url_b=https://127.0.0.1:${ports[1]} url_liar=https://127.0.0.1:${ports[2]}
config() # config NAME PEER…
{
	local name=$1 url=url_$1
	shift
	mkdir -p "$work/$name"
	{
		cat <<-TOML
			insecure_development = true
			[core]
			cert_dir = "$work/$name/certs"
			state_dir = "$work/$name/state"
			[rpc]
			address = "tcp:${!url#https://}"
			sans = ["127.0.0.1"]
			[image]
			dir = "$work"
			[policy]
			file = "$work/policy.toml"
			[audit]
			peer_interval_s = 1
			peer_timeout_s = 2
		TOML
		for peer in "$@"; do printf '[[audit.peer]]\nurl = "%s"\n' "$peer"; done
	} >"$work/$name/kms.toml"
}
start()
{
	: >"$work/$1/log"
	dstack-kms -c "$work/$1/kms.toml" 2>"$work/$1/log" &
	eval "pid_$1=$!"
	pids+=($!)
	until_true 10 grep -q 'listening.*tls=yes' "$work/$1/log" || { cat "$work/$1/log" && return 1; }
}
stop() { local pid=pid_$1 && kill "${!pid}" && { wait "${!pid}" || true; }; }
ask() # ask NAME METHOD [CURL OPTIONS]
{
	local url=url_$1 method=$2
	shift 2
	curl -sS --max-time 5 --fail-with-body --cacert "$work/a/certs/root-ca.crt" "$@" "${!url}/$method"
}
grow() { for _ in $(seq "$2"); do ask "$1" 'prpc/GetAppKey?json' -d '{}' >/dev/null 2>&1; done; true; } # each a refusal, each a record
size() { ask "$1" 'prpc/GetAuditCheckpoint?json' | jq .size; }
kept() { ask "$1" 'prpc/GetPeerCheckpoints?json'; }
caught_up() { test "$(kept "$1" | jq -r '.peers[0].head.size')" -ge "$(size "$2")"; } # the first has seen all of the second
verify() { dstack kms log verify "$@"; }
exits() { local want=$1 && shift && { "$@" >/dev/null 2>&1; test $? = "$want"; }; }
metric() { ask "$1" metrics | grep -qx "$2"; }

echo 'development = true' >"$work/policy.toml"
config a "$url_b" && config b "$url_a"
check "a KMS starts while its peer is down" start a
root=(--kms-root "$work/a/certs/root-ca.crt")
check "and serves" ask a 'prpc/GetMeta?json'
check "the peer is not known, says a metric" until_true 5 metric a 'dstack_kms_audit_peer_ok{peer="1"} 0'
cp -r "$work/a/certs" "$work/b/certs" # a replica: the same roots
check "its replica starts" start b
check "and follows it" until_true 10 caught_up b a
check "which its own log says" grep -q '"event":"audit-peer","ok":true.*follows log' "$work/b/state/audit.log"
check "both ways" until_true 10 caught_up a b
check "the peer is well, says a metric" until_true 5 metric a 'dstack_kms_audit_peer_ok{peer="1"} 1'
grow a 5
check "km_18 it follows what is added" until_true 10 caught_up b a
check "km_18 the log goes on from what the replica keeps" verify "$url_a" "${root[@]}" --peer "$url_b"
check "km_18 and says so" jq -e '.ok and .server_verified and (.peers[0].holds)' <(verify "$url_a" "${root[@]}" --peer "$url_b" --json)
check "km_18 offline as well" verify "$work/a/state" --peer "$(echo "$work"/b/state/audit.peers/*.json)"
check "km_18 a file against a replica that is asked" verify "$work/a/state" "${root[@]}" --peer "$url_b"
refused "a peer that keeps nothing of this log" audit.no_witness verify "$url_a" "${root[@]}" --peer "$url_a"

# Who answers is verified.
refused "nobody said which KMS must answer" cli.kms_root verify "$url_a"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
	-keyout "$work/other.key" -out "$work/other.crt" 2>/dev/null
refused "a KMS under another root" rpc.tls verify "$url_a" --kms-root "$work/other.crt"
mkdir "$work/home" && printf 'kms_root = "%s"\n' "$work/a/certs/root-ca.crt" >"$work/home/config.toml"
check "the root of config.toml" verify "$url_a"
rm -r "$work/home"
check "an unverified connection must be asked for" jq -e '.ok and (.server_verified | not)' <(verify "$url_a" --unverified-tls --json)

# Put back.
grow a 3
check "stops" stop a
cp -r "$work/a/state" "$work/earlier"
check "starts" start a
grow a 6
check "km_18 the replica has seen more" until_true 10 caught_up b a
check "stops again" stop a
cp -r "$work/a/state" "$work/later"
rm -r "$work/a/state" && cp -r "$work/earlier" "$work/a/state"
check "a state folder that was put back starts: its files agree with each other" start a
check "km_18 its replica finds it cut" until_true 10 grep -q 'FALSE AUDIT LOG.*audit.truncated' "$work/b/log"
check "km_18 and whoever asks the replica" exits 5 verify "$url_a" "${root[@]}" --peer "$url_b"
refused "km_18 for that reason" audit.truncated verify "$url_a" "${root[@]}" --peer "$url_b"
check "it finds so itself" until_true 10 grep -q 'OWN AUDIT LOG WAS PUT BACK.*code=audit.rolled_back' "$work/a/log"
refused "and gives nothing out: revocations may be lost" audit.rolled_back ask a 'prpc/GetTempCaCert?json' -d '{}'
check "and is not ready" jq -e '.checks.audit == false and .ready == false' <(curl -sS --cacert "$work/a/certs/root-ca.crt" "$url_a/ready")
grow a 12
check "km_18 grown past it, it is a fork" until_true 10 grep -q 'FALSE AUDIT LOG.*audit.fork' "$work/b/log"
refused "km_18 for all" audit.fork verify "$url_a" "${root[@]}" --peer "$url_b"
check "km_18 exit 5" exits 5 verify "$url_a" "${root[@]}" --peer "$url_b"
witness=$(echo "$work"/b/state/audit.peers/*.json)
check "km_18 both heads are kept" jq -e '.refused_code == "audit.fork" and .head.log_id == .refused.log_id and .refused.size > .head.size' "$witness"
check "km_18 and anyone is told" jq -e '.peers[0].refused_code == "audit.fork" and (.peers[0].refused.signature | length == 130)' <(kept b)
check "km_18 in the replica's own log" grep -q '"event":"audit-peer","ok":false,"code":"audit.fork"' "$work/b/state/audit.log"
check "km_18 in a metric" metric b 'dstack_kms_audit_peer_false{peer="1"} 1'
refused "km_18 offline as well" audit.fork verify "$work/a/state" --peer "$witness"
check "stops" stop a
rm -r "$work/a/state" && cp -r "$work/later" "$work/a/state"
check "starts with the log that was shown" start a
check "its replica takes it again" until_true 10 eval 'tail -n 1 "$work/b/log" | grep -q "audit log of peer.*holds"'
refused "km_18 but the two heads stay a proof" audit.fork verify "$url_a" "${root[@]}" --peer "$url_b"
check "until the replica's operator takes it away" eval 'stop b && rm "$witness" && start b && until_true 10 caught_up b a'
check "which leaves a record" test "$(grep -c 'follows log' "$work/b/state/audit.log")" = 2
check "the KMS gives out again" ask a 'prpc/GetTempCaCert?json' -d '{}'
check "km_18 and all is well" verify "$url_a" "${root[@]}" --peer "$url_b"
check "what is left when the newest state is lost: a new log" eval 'stop a && mkdir "$work/away" && mv "$work"/a/state/audit.{log,heads} "$work/away" && start a'
check "km_18 a new log is another one to the replica" until_true 10 grep -q 'FALSE AUDIT LOG.*audit.other_log' "$work/b/log"
refused "km_18 and to who asks it" audit.other_log verify "$url_a" "${root[@]}" --peer "$url_b"
check "but gives out" ask a 'prpc/GetTempCaCert?json' -d '{}'
check "stops" stop b
rm -r "$work/b/state" && cp -r "$work/later" "$work/b/state" # another KMS's log
check "starts" start b
check "km_18 a log in the place of another" until_true 10 grep -q 'FALSE AUDIT LOG.*audit.other_log' "$work/a/log"
check "stops both" eval 'stop a && stop b'

# A peer that lies, with the certificate of a KMS.
cat >"$work/liar.py" <<'PY'
import http.server, json, socketserver, ssl, sys, time
class Liar(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        mode = open(sys.argv[1] + "/mode").read().strip()
        head = json.load(open(sys.argv[1] + "/head"))
        body = json.dumps(head).encode()
        if mode == "hang": time.sleep(30)
        if mode == "huge": body += b" " * (64 << 20)
        if mode == "garbage": body = b'{"log_id":"00","size":18446744073709551616}'
        if mode == "signature": head["size"] += 1; body = json.dumps(head).encode()
        if "GetPeerCheckpoints" in self.path:
            body = json.dumps({"peers": [] if mode == "nothing" else [{"name": sys.argv[3], "head": head}]}).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError: self.close_connection = True
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer): daemon_threads = True
s = Server(("127.0.0.1", int(sys.argv[2])), Liar)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(*sys.argv[4:6])
s.socket = tls.wrap_socket(s.socket, server_side=True)
s.serve_forever()
PY
liar() { python3 "$work/liar.py" "$work" "${ports[2]}" "$url_a" "$@" 2>/dev/null & liar=$!; pids+=("$liar"); until_true 5 eval ': </dev/tcp/127.0.0.1/${ports[2]}'; }
mode() { echo "$1" >"$work/mode"; }
config a "$url_liar" && start a
ask a 'prpc/GetAuditCheckpoint?json' >"$work/head"
mode garbage && liar "$work/other.crt" "$work/other.key"
check "a peer without a KMS's certificate is not believed" until_true 10 grep -q 'is not known.*rpc.tls' "$work/a/log"
kill "$liar" && wait "$liar" 2>/dev/null
liar "$work/a/certs/rpc.crt" "$work/a/certs/rpc.key"
check "garbage" until_true 10 grep -q 'is not known.*garbage\|is not known.*log_id\|is not known.*size' "$work/a/log"
mode huge
check "64 MiB" until_true 10 grep -q 'is not known.*rpc.reply' "$work/a/log"
mode signature
check "a head that nobody signed" until_true 10 grep -q 'FALSE AUDIT LOG.*audit.signature' "$work/a/log"
refused "and asked by the command" audit.signature verify "$url_a" "${root[@]}" --peer "$url_liar"
mode nothing
refused "a peer that says it keeps nothing" audit.no_witness verify "$url_a" "${root[@]}" --peer "$url_liar"
check "exit 4" exits 4 verify "$url_a" "${root[@]}" --peer "$url_liar"
mode hang
check "a peer that hangs" until_true 10 grep -q 'is not known.*rpc.timeout' "$work/a/log"
began=$(date +%s%3N)
check "the KMS answers all the same" ask a 'prpc/GetMeta?json'
check "at once" test $(($(date +%s%3N) - began)) -lt 1000
check "and stops in time" eval 'stop a && test $(($(date +%s%3N) - began)) -lt 3500'
refused "a peer address in clear" config.peer eval 'config a "http://127.0.0.1:1" && dstack-kms -c "$work/a/kms.toml" --check'
