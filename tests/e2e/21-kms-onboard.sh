#!/bin/bash
# KMSs of their own evidence: set up behind a token, onboarded from one another, one of them lying; what stops a
# running one. Security cases KM-08, KM-09, KM-15, KM-17, CH-07, CH-10, CH-11, CH-12 of the attack list.
. "$(dirname "$0")/lib.sh"
guest=build/tests/tools/fakeguest
app=00112233445566778899aabbccddeeff00112233 kms_app=$(printf 'ee%.0s' {1..20})
compose=$(printf '5a%.0s' {1..32}) compose_a=$(printf 'a1%.0s' {1..32}) compose_b=$(printf 'b2%.0s' {1..32})
compose_m=$(printf 'c3%.0s' {1..32})
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

dstack-softtee pki --dir "$work/pki"
dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
pids+=($!)
until_true 5 grep -q port= "$work/serve.log"
pccs=http://127.0.0.1:$(sed -n 's/.*port=//p' "$work/serve.log")
image=$($guest image --image "$work/images/one")
for k in a b m; do # the guest agents of three CVMs; the third is a stranger's
	mkdir -p "$work/$k"
	compose_of=compose_$k
	$guest agent --image "$work/images/one" --app "$kms_app" --compose "${!compose_of}" --pki "$work/pki" \
		--out "unix:$work/$k/agent.sock" 2>"$work/$k/agent.log" &
	pids+=($!)
	eval "agent_$k=$!"
	(umask 077 && echo "token-of-$k" >"$work/$k/token")
done
config() # config NAME [LINES OF core]
{
	cat >"$work/$1/kms.toml" <<-EOF
		insecure_development = true
		[core]
		cert_dir = "$work/$1/certs"
		agent = "unix:$work/$1/agent.sock"
		attest_rpc_cert = true
		enforce_self_authorization = true
		self_check_s = 5
		rpc_cert_s = 5
		site_name = "site $1"
		${2-}
		[core.admin]
		address = "unix:$work/$1/admin.sock"
		token_file = "$work/$1/token"
		[core.onboard]
		address = "tcp:127.0.0.1:0"
		token_file = "$work/$1/token"
		[rpc]
		address = "tcp:127.0.0.1:0"
		sans = ["127.0.0.1"]
		[image]
		dir = "$work/images"
		[attestation]
		pccs_url = "$pccs"
		development_root = "$work/pki/root.der"
		[policy]
		file = "$work/$1/policy.toml"
	EOF
}
policy() # policy NAME "MR", ...: which KMSs it allows; the app always
{
	cat >"$work/$1/policy.new" <<-EOF
		development = true
		os_images = ["${images-$image}"]
		[kms]
		mr_aggregated = [$2]
		${devices-allow_any_device = true}
		[[app]]
		id = "$app"
		compose_hashes = ["$compose"]
		allow_any_device = true
	EOF
	mv "$work/$1/policy.new" "$work/$1/policy.toml"
}
port() { sed -n 's/.*listening.* port=\([0-9]*\) tls='"$2"'.*/\1/p' "$work/$1/log" | tail -n 1; }
start() # start NAME no|yes: waits for its set-up (no TLS) or its main listener
{
	: >"$work/$1/log"
	dstack-kms -c "$work/$1/kms.toml" 2>"$work/$1/log" &
	eval "pid_$1=$!"
	pids+=($!)
	until_true 10 grep -q "listening.*tls=$2" "$work/$1/log" || { cat "$work/$1/log" && return 1; }
}
stop() { local pid=pid_$1 && kill "${!pid}" && { wait "${!pid}" || true; }; }
setup() # setup NAME PATH [CURL OPTIONS]: with the token
{
	local name=$1 path=$2
	shift 2
	curl -sS --fail-with-body -H "X-Admin-Token: token-of-$name" "$@" "http://127.0.0.1:$(port "$name" no)$path"
}
ask() # ask NAME METHOD [CURL OPTIONS]
{
	local name=$1 method=$2
	shift 2
	curl -sS --fail-with-body --cacert "$work/$name/certs/root-ca.crt" "$@" "https://127.0.0.1:$(port "$name" yes)/prpc/$method?json"
}
onboard() { setup "$1" /prpc/Onboard.Onboard -d "{\"source_url\":\"https://127.0.0.1:$2\",\"domain\":\"kms-$1.test\"}" -H 'Content-Type: application/json'; }

# km_15: what only development may do.
sed 's/^insecure_development.*//; /development_root/d' <(config a && cat "$work/a/kms.toml") >"$work/plain.toml"
sed 's/attest_rpc_cert = true/attest_rpc_cert = false/' "$work/plain.toml" >"$work/off.toml"
refused "km_15 production without an attested certificate" config.attestation_off dstack-kms -c "$work/off.toml"
sed 's/authorization = true/authorization = false/' "$work/plain.toml" >"$work/off.toml"
refused "km_15 production without self-authorisation" config.attestation_off dstack-kms -c "$work/off.toml"
sed 's/^agent = .*/agent = ""/' "$work/plain.toml" >"$work/off.toml"
refused "km_15 production without a guest agent" kms.no_agent dstack-kms -c "$work/off.toml"
sed '/token_file/d' "$work/a/kms.toml" >"$work/off.toml"
refused "km_09 a set-up without a token" setup.token dstack-kms -c "$work/off.toml"
check "nothing was made" test ! -e "$work/a/certs"

# km_09: the set-up belongs to who has the token, once.
check "a KMS without keys waits to be set up" start a no
url=http://127.0.0.1:$(port a no)
check "its page loads nothing" eval 'curl -sS -D "$work/head" "$url/" >"$work/page" && grep -q "Set-up token" "$work/page" &&
	! grep -iE "src=|href=|@import|url\(" "$work/page" && grep -i "content-security-policy: default-src .none." "$work/head"'
refused "km_09 bootstrap by anyone" admin.unauthorized curl -sS --fail-with-body "$url/prpc/Bootstrap?json" -d '{"domain":"x.test"}'
refused "km_09 a wrong token" admin.unauthorized curl -sS --fail-with-body -H 'X-Admin-Token: token' "$url/prpc/Onboard.GetAttestationInfo?json"
refused "km_09 finish by anyone" admin.unauthorized curl -sS --fail-with-body "$url/finish"
refused "km_09 finish before there are keys" setup.no_keys setup a /finish
refused "km_09 the same over RPC" setup.no_keys setup a /prpc/Finish?json
refused "a domain that is none" kms.domain setup a '/prpc/Bootstrap?json' -d '{"domain":"-x"}'
refused "a KMS that no policy allows" kms.self_denied setup a '/prpc/Bootstrap?json' -d '{"domain":"kms.test"}'
setup a '/prpc/Onboard.GetAttestationInfo?json' >"$work/a/info"
mr_a=$(jq -r .mr_aggregated "$work/a/info")
check "GetAttestationInfo says what to allow" jq -e --arg i "$image" '.site_name == "site a" and .tee_variant == "dstack-tdx" and
	.os_image_hash == $i and (.device_id | length == 64) and (.ppid | length == 32)' "$work/a/info"
policy a "\"$mr_a\""
for i in 1 2 3 4; do setup a '/prpc/Bootstrap?json' -d '{"domain":"kms-a.test"}' >"$work/boot.$i" 2>/dev/null & races+=($!); done
wait "${races[@]}"
check "km_09 of four at once one makes the keys" test "$(grep -l ca_pubkey "$work"/boot.? | wc -l)" = 1
check "km_09 and the others learn that it is done" test "$(grep -l kms.bootstrapped "$work"/boot.? | wc -l)" = 3
check "its evidence is kept with the keys" cmp <(jq -S . "$(grep -l ca_pubkey "$work"/boot.?)") <(jq -S . "$work/a/certs/bootstrap-info.json")
refused "km_09 onboarding over existing keys" kms.bootstrapped onboard a 1
check "finish" test "$(setup a /finish)" = OK
until_true 10 grep -q 'listening.*tls=yes' "$work/a/log"
refused "km_09 the set-up is gone" "curl: (7)" setup a /health
check "GetMeta shows how the keys were born" cmp <(ask a GetMeta | jq -S .bootstrap_info) <(jq -S . "$work/a/certs/bootstrap-info.json")
check "the certificate carries evidence and the domain" eval 'openssl x509 -in "$work/a/certs/rpc.crt" -noout -text >"$work/text" &&
	grep -q 62397.1.8 "$work/text" && grep -q "DNS:kms-a.test" "$work/text"'

ready() { curl -sS --cacert "$work/$1/certs/root-ca.crt" "https://127.0.0.1:$(port "$1" yes)/ready"; }
check "it is ready" jq -e '.ready and .checks.own_evidence and .checks.policy' <(ready a)

# Guests' evidence, as tests/e2e/20-kms.sh makes it.
ask a GetTempCaCert >"$work/temp.json"
jq -r .temp_ca_cert "$work/temp.json" >"$work/tmp.crt"
jq -r .temp_ca_key "$work/temp.json" >"$work/tmp.key"
evidence() # evidence NAME APP COMPOSE: $work/NAME.{key,crt}
{
	local who=(--image "$work/images/one" --app "$2" --compose "$3" --key "$work/$1.key")
	# shellcheck disable=SC2046 # options, one word each
	dstack-softtee quote --dir "$work/pki" --out "$work/$1.quote" $($guest quote-args "${who[@]}") &&
		$guest cert "${who[@]}" --quote "$work/$1.quote" --ca "$work/tmp.crt" --ca-key "$work/tmp.key" --out "$work/$1.crt"
}
evidence good "$app" "$compose" && evidence kms_b "$kms_app" "$compose_b"
as() { echo --cert "$work/$1.crt" --key "$work/$1.key"; }
# shellcheck disable=SC2046
{
	ask a GetAppKey $(as good) -d '{}' >"$work/keys.a"
	# km_17: who asks for the roots.
	refused "km_17 the roots for a KMS that is not allowed" policy.kms_not_allowed ask a GetKmsKey $(as kms_b) -d '{}'
	refused "km_17 the roots for an app" policy.kms_not_allowed ask a GetKmsKey $(as good) -d '{}'
	refused "km_17 ch_11 the roots without evidence" ratls.no_evidence ask a GetKmsKey -d '{}'
	$guest cert --image "$work/images/one" --app "$kms_app" --compose "$compose_b" --key "$work/thief.key" --quote "$work/kms_b.quote" \
		--ca "$work/tmp.crt" --ca-key "$work/tmp.key" --out "$work/thief.crt"
	refused "km_17 ch_11 relayed evidence" ratls.key_mismatch ask a GetKmsKey $(as thief) -d '{}'
	refused "ch_11 an app key for relayed evidence" ratls.key_mismatch ask a GetAppKey $(as thief) -d '{}'
	$guest cert --image "$work/images/one" --app "$kms_app" --compose "$compose_b" --key "$work/bare.key" \
		--ca "$work/tmp.crt" --ca-key "$work/tmp.key" --out "$work/bare.crt"
	for method in GetAppKey GetKmsKey; do
		refused "ch_10 the temporary CA alone: $method" ratls.no_evidence ask a $method $(as bare) -d '{}'
	done
}
check "km_17 each refusal is in the log" test "$(grep -c '"event":"kms-handover","ok":false' "$work/a/certs.state/audit.log")" -ge 5
openssl s_client -connect "127.0.0.1:$(port a yes)" -sess_out "$work/session" </dev/null >"$work/tls" 2>&1
check "ch_12 nothing to resume" eval '! [ -s "$work/session" ] && ! grep -q "New Session Ticket arrived" "$work/tls"'

# Onboarding: B takes the roots of A over.
config b && start b no
setup b '/prpc/Onboard.GetAttestationInfo?json' >"$work/b/info"
mr_b=$(jq -r .mr_aggregated "$work/b/info")
check "another compose file is another measurement" test "$mr_a" != "$mr_b"
policy b "\"$mr_b\""
refused "onboarding without TLS" onboard.url setup b '/prpc/Onboard?json' -d '{"source_url":"http://127.0.0.1:1","domain":"b.test"}'
refused "km_17 a source that B's policy does not allow" onboard.source_denied onboard b "$(port a yes)"
policy b "\"$mr_a\""
refused "B itself must be allowed by its policy" kms.self_denied onboard b "$(port a yes)"
policy b "\"$mr_a\", \"$mr_b\""
refused "km_17 a source that does not allow B" policy.kms_not_allowed onboard b "$(port a yes)"
devices="devices = [\"$compose\"]" policy a "\"$mr_a\", \"$mr_b\""
refused "km_17 the right measurement on another device" kms.self_denied onboard b "$(port a yes)"
images=$compose policy a "\"$mr_a\", \"$mr_b\""
refused "km_17 an image that is not allowed" kms.self_denied onboard b "$(port a yes)"
policy a "\"$mr_a\", \"$mr_b\""
refused "a source that keeps its roots" kms.no_handover onboard b "$(port a yes)"
gate=$'handover = true\nhandover_closed = true'
check "A is restarted to hand over" eval 'stop a; config a "$gate" && start a yes'

# ch_07: a KMS that answers the second connection in the first one's place. M has evidence under the same root, too.
config m "handover = true" && start m no
setup m '/prpc/Onboard.GetAttestationInfo?json' >"$work/m/info"
mr_m=$(jq -r .mr_aggregated "$work/m/info")
policy m "\"$mr_m\", \"$mr_a\", \"$mr_b\""
node tests/e2e/page/setup.mjs "http://127.0.0.1:$(port m no)/" token-of-m >"$work/page.log" 2>&1
cat "$work/page.log"
check "the page sets a KMS up" eval '! grep -q "^not ok" "$work/page.log" && grep -q "^ok - chromium" "$work/page.log"'
until_true 10 grep -q 'listening.*tls=yes' "$work/m/log"
refused "a genuine KMS of somebody else" onboard.source_denied onboard b "$(port m yes)"
cat >"$work/relay" <<-EOF
	#!/bin/bash
	# The first connection goes to A, each other one to M.
	if mkdir "$work/first" 2>/dev/null; then port=$(port a yes); else port=$(port m yes); fi
	exec socat - TCP:127.0.0.1:\$port
EOF
chmod +x "$work/relay"
socat -d -d "TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr" "EXEC:$work/relay" 2>"$work/relay.log" &
pids+=($!)
until_true 5 grep -q 'listening on' "$work/relay.log"
liar=$(sed -n 's/.*listening on AF=2 127.0.0.1:\([0-9]*\).*/\1/p' "$work/relay.log" | head -n 1)
refused "ch_07 another KMS on the second connection" onboard.peer_changed onboard b "$liar"
check "ch_07 the liar was reached" grep -q "$(port m yes)" "$work/relay"
check "ch_07 and nothing was taken over" test ! -e "$work/b/certs"
config m 'handover = true' && sed -i 's/attest_rpc_cert = true/attest_rpc_cert = false/' "$work/m/kms.toml" && stop m && start m yes
refused "a source without evidence" ratls.no_evidence onboard b "$(port m yes)"

# ch_06: a genuine app's certificate under A's root is no KMS, whatever names it has.
$guest csr --image "$work/images/one" --app "$app" --compose "$compose" --key "$work/good.key" --quote "$work/good.quote" \
	--subject web --san 127.0.0.2 >"$work/csr.json"
ask a SignCert -d "@$work/csr.json" | jq -r '.certificate_chain[]' >"$work/web.crt"
openssl s_server -accept 127.0.0.1:0 -cert "$work/web.crt" -cert_chain "$work/web.crt" -key "$work/good.key" -www >"$work/web.log" 2>&1 &
pids+=($!)
until_true 5 grep -q 'ACCEPT 127' "$work/web.log"
refused "ch_06 an app's certificate in the place of a KMS's" tls.peer_usage onboard b "$(sed -n 's/^ACCEPT 127.0.0.1:\([0-9]*\).*/\1/p' "$work/web.log")"

refused "km_17 a handover that no administrator has opened" kms.handover_closed onboard b "$(port a yes)"
open() { dstack kms handover --mr "$1" "${@:2}" --admin "unix:$work/a/admin.sock:" --token-file "$work/a/token"; }
refused "km_17 for more than an hour" kms.handover_request open "$mr_b" --for 2h
check "km_17 opened for another KMS" open "$mr_m"
refused "km_17 it stays closed for this one" kms.handover_closed onboard b "$(port a yes)"
check "km_17 opened for this KMS" open "$mr_b"
check "km_17 which the log has before it holds" grep -q "handover of the roots opened for mr_aggregated=$mr_b" "$work/a/certs.state/audit.log"
check "km_17 and closed again" open "$mr_b" --for 0s
refused "km_17 then nothing is given" kms.handover_closed onboard b "$(port a yes)"
check "km_17 opened once more" open "$mr_b"
check "B takes the roots of A over" onboard b "$(port a yes)"
# shellcheck disable=SC2046
refused "km_17 once: the next one finds it closed" kms.handover_closed ask a GetKmsKey $(as kms_b) -d '{}'
check "A's log says so" grep -q 'roots handed over to another KMS' "$work/a/log"
refused "km_09 once" kms.bootstrapped onboard b "$(port a yes)"
check "and serves" eval 'setup b /finish && until_true 10 grep -q "listening.*tls=yes" "$work/b/log"'
for f in root-ca.key root-k256.key tmp-ca.key; do check "the same $f" cmp "$work/a/certs/$f" "$work/b/certs/$f"; done
check "but an RPC key of its own" eval '! cmp -s "$work/a/certs/rpc.key" "$work/b/certs/rpc.key"'
check "no second birth certificate" test ! -e "$work/b/certs/bootstrap-info.json"
check "its certificate holds under A's root" curl -sS --cacert "$work/a/certs/root-ca.crt" "https://127.0.0.1:$(port b yes)/health"
# shellcheck disable=SC2046
ask b GetAppKey $(as good) -d '{}' >"$work/keys.b"
check "both give an app the same keys" cmp <(jq "[.disk_crypt_key, .env_crypt_key, .k256_key, .k256_signature]" "$work/keys.a") <(jq "[.disk_crypt_key, .env_crypt_key, .k256_key, .k256_signature]" "$work/keys.b")
check "onboarding from the replica's side is the same KMS" test "$(ask a GetMeta | jq .k256_pubkey)" = "$(ask b GetMeta | jq .k256_pubkey)"

# What a running KMS does for itself: its certificate gets fresh evidence, its own evidence is looked at again.
served() { openssl s_client -connect "127.0.0.1:$(port a yes)" </dev/null 2>/dev/null | openssl x509 -outform DER | sha256sum; }
was=$(served)
check "the certificate is renewed while it serves" until_true 20 eval '[ "$(served)" != "$was" ]'
check "with the key it had, under the same root" curl -sS --cacert "$work/b/certs/root-ca.crt" "https://127.0.0.1:$(port a yes)/health"
kill "$agent_a" && until_true 15 grep -q 'own evidence: ' "$work/a/log"
refused "a KMS that has no evidence of itself any more" kms.self_denied ask a GetTempCaCert
check "is not ready, and says why" jq -e '.ready == false and .checks.own_evidence == false' <(ready a)

# What stops a running KMS: the policy, at the next call.
policy b "\"$mr_a\""
refused "a KMS taken off its policy: GetTempCaCert" kms.self_denied ask b GetTempCaCert
refused "GetAppEnvEncryptPubKey" kms.self_denied ask b GetAppEnvEncryptPubKey -d "{\"app_id\":\"$app\"}"
# shellcheck disable=SC2046
refused "GetAppKey" kms.self_denied ask b GetAppKey $(as good) -d '{}'
check "GetMeta goes on" ask b GetMeta
metrics() { curl -sS --cacert "$work/$1/certs/root-ca.crt" "https://127.0.0.1:$(port "$1" yes)/metrics"; }
check "it is counted" eval 'metrics b >"$work/metrics" && grep -q "^dstack_kms_attestation_failures_total 1$" "$work/metrics" &&
	grep -q "requests_total{method=\"GetTempCaCert\",result=\"refused\"} 1" "$work/metrics" &&
	grep -q "policy_decisions_total{result=\"denied\"} [1-9]" "$work/metrics"'
policy b "\"$mr_a\", \"$mr_b\""
check "and back on it" ask b GetTempCaCert

# km_08: files that go missing are never made anew beside others, also with a domain to bootstrap for.
stop b
sha256sum "$work"/b/certs/*.key >"$work/roots"
sed -i '/^.core.onboard/,/^token_file/s/^token_file.*/&\nauto_bootstrap_domain = "kms-b.test"/' "$work/b/kms.toml"
for f in root-ca.crt tmp-ca.key tmp-ca.crt rpc.key; do
	mv "$work/b/certs/$f" "$work/kept"
	refused "km_08 without $f" kms.partial_keys timeout 20 dstack-kms -c "$work/b/kms.toml"
	mv "$work/kept" "$work/b/certs/$f"
done
for f in rpc.crt rpc-domain; do
	rm "$work/b/certs/$f"
	check "km_08 $f is not missed" start b yes
	stop b
done
check "km_08 the keys are what they were" sha256sum --quiet -c "$work/roots"
rm -r "$work/b/certs"
policy b "\"$mr_a\""
refused "auto-bootstrap of a KMS that is not allowed" kms.self_denied timeout 20 dstack-kms -c "$work/b/kms.toml"
policy b "\"$mr_b\""
check "auto-bootstrap by domain" start b yes
check "with evidence of the keys" jq -e '.attestation | length > 1000' "$work/b/certs/bootstrap-info.json"
