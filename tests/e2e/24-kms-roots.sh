#!/bin/bash
# Root rotation on the real programs: a new root set, the address that serves it, apps that move to it and those that
# do not, a host that sends guests to the old one, a replica with the whole ring, recovery without a KMS, kill -9.
. "$(dirname "$0")/lib.sh"
guest=build/tests/tools/fakeguest
app=00112233445566778899aabbccddeeff00112233 other=ffeeddccbbaa99887766554433221100ffeeddcc
compose=$(printf '5a%.0s' {1..32}) inst=$(printf '01%.0s' {1..20}) kms_app=$(printf 'ee%.0s' {1..20})
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

dstack-softtee pki --dir "$work/pki"
dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
pids+=($!)
until_true 5 grep -q port= "$work/serve.log"
image=$($guest image --image "$work/images/one")
for k in a b; do
	mkdir -p "$work/$k"
	$guest agent --image "$work/images/one" --app "$kms_app" --compose "$(printf "${k}1%.0s" {1..32})" --pki "$work/pki" \
		--out "unix:$work/$k/agent.sock" 2>"$work/$k/agent.log" &
	pids+=($!)
	(umask 077 && echo "token-of-$k" >"$work/$k/token")
	cat >"$work/$k/kms.toml" <<-EOF
		insecure_development = true
		[core]
		cert_dir = "$work/$k/certs"
		agent = "unix:$work/$k/agent.sock"
		attest_rpc_cert = true
		handover = true
		[core.onboard]
		address = "tcp:127.0.0.1:0"
		token_file = "$work/$k/token"
		[core.admin]
		address = "unix:$work/$k/admin.sock"
		token_file = "$work/$k/token"
		[rpc]
		address = "tcp:127.0.0.1:0"
		sans = ["127.0.0.1"]
		[[rpc.root]]
		set = 1
		address = "tcp:127.0.0.2:0"
		[image]
		dir = "$work/images"
		[attestation]
		pccs_url = "http://127.0.0.1:$(sed -n 's/.*port=//p' "$work/serve.log")"
		development_root = "$work/pki/root.der"
		[policy]
		file = "$work/policy.toml"
	EOF
done
{
	printf 'development = true\nos_images = ["%s"]\n[kms]\nallow_any_device = true\nmr_aggregated = [' "$image"
	printf ']\n'
	for a in "$app" "$other"; do printf '[[app]]\nid = "%s"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' "$a" "$compose"; done
} >"$work/policy.toml"
allow_kms() { sed -i "s/mr_aggregated = .*/mr_aggregated = [$1]/" "$work/policy.toml"; }
port() { sed -n 's/.*listening address=tcp:127.0.0.'"$2"':0 port=\([0-9]*\) tls=yes.*/\1/p' "$work/$1/log" | tail -n 1; }
setup() # setup NAME PATH [CURL OPTIONS]
{
	local name=$1 path=$2
	shift 2
	curl -sS --fail-with-body -H "X-Admin-Token: token-of-$name" "$@" \
		"http://127.0.0.1:$(sed -n 's/.*listening.* port=\([0-9]*\) tls=no.*/\1/p' "$work/$name/log" | head -n 1)$path"
}
start() # start NAME no|yes [ENV…]
{
	local name=$1 tls=$2
	shift 2
	: >"$work/$name/log"
	rm -f "$work/$name/admin.sock"
	env "$@" dstack-kms -c "$work/$name/kms.toml" 2>"$work/$name/log" &
	eval "pid_$name=$!"
	pids+=($!)
	local i
	for ((i = 0; i < 500; i++)); do
		if [ "$tls" = no ]; then grep -q "listening.*tls=no" "$work/$name/log"; else grep -q ' ready address=' "$work/$name/log"; fi && return
		sleep 0.02
	done
	cat "$work/$name/log"
	return 1
}
stop() { local pid=pid_$1 && kill "${!pid}" && { wait "${!pid}" || true; }; }
ca() { [ "$2" = 1 ] && echo "$work/$1/certs/root-ca.crt" || echo "$work/$1/certs/roots/1/root-ca.crt"; }
ask() # ask NAME 1|2 METHOD [CURL OPTIONS]: at the address of set 0 (127.0.0.1) or of set 1 (127.0.0.2)
{
	local name=$1 at=$2 method=$3
	shift 3
	curl -sS --fail-with-body --cacert "$(ca "$name" "$at")" "$@" "https://127.0.0.1:$(port "$name" "$at")/prpc/$method?json" \
		--connect-to "::127.0.0.$at:"
}
as() { echo --cert "$work/$1.crt" --key "$work/$1.key"; }
keys() # keys NAME 1|2 GUEST [REQUEST]
{
	local none='{}'
	# shellcheck disable=SC2046 # options, one word each
	ask "$1" "$2" GetAppKey $(as "$3") -d "${4-$none}"
}
admin() { echo --admin "unix:$work/$1/admin.sock:" --token-file "$work/$1/token"; }
last() { tail -n 1 "$work/$1/certs.state/audit.log"; }
make_guest() # make_guest NAME APP
{
	local who=(--image "$work/images/one" --app "$2" --compose "$compose" --instance "$inst" --key "$work/$1.key")
	# shellcheck disable=SC2046
	dstack-softtee quote --dir "$work/pki" --out "$work/quote.$1" $($guest quote-args "${who[@]}")
	$guest cert "${who[@]}" --quote "$work/quote.$1" --ca "$work/tmp.crt" --ca-key "$work/tmp.key" --out "$work/$1.crt"
	$guest csr "${who[@]}" --quote "$work/quote.$1" --subject web --san app.example >"$work/$1.csr"
}
fields='[.disk_crypt_key, .env_crypt_key, .k256_key, .k256_signature]'
derive() { dstack kms derive --cert-dir "$work/${1}/certs" --app-id "$app" --instance-id "$inst" --json "${@:2}"; }

check "a KMS to set up" start a no
allow_kms "\"$(setup a '/prpc/Onboard.GetAttestationInfo?json' | jq -r .mr_aggregated)\""
check "bootstrap" setup a '/prpc/Bootstrap?json' -d '{"domain":"kms-a.test"}'
setup a /finish >/dev/null
until_true 10 grep -q ' ready address=' "$work/a/log"
ask a 1 GetTempCaCert >"$work/temp.json"
jq -r .temp_ca_cert "$work/temp.json" >"$work/tmp.crt" && jq -r .temp_ca_key "$work/temp.json" >"$work/tmp.key"
make_guest one "$app" && make_guest two "$other"
keys a 1 one >"$work/keys0.json"
keys a 1 two >"$work/other0.json"
ask a 1 GetMeta | jq -S 'del(.roots)' >"$work/meta0.json"
k0=$(jq -r .k256_pubkey "$work/meta0.json")
sha256sum "$work"/a/certs/*.key >"$work/set0"
check "no address of a set that is not there" test -z "$(port a 2)"
# shellcheck disable=SC2046
{
	refused "an epoch on a set that is not there" kms.no_root_set dstack kms rotate $(admin a) --app-id "$app" --root 1
	refused "a rotation by anyone" admin.unauthorized curl -sS --fail-with-body --unix-socket "$work/a/admin.sock" "http://x/prpc/Admin.RotateRoots?json" -d null

	# A new set.
	check "rotate the roots" eval 'dstack kms rotate $(admin a) --roots >"$work/made.json"'
}
check "is recorded with its id" test "$(last a | jq -r '[.event, .ok, .digest] | @csv')" = "\"root-rotation\",true,\"$(jq -r .id "$work/made.json")\""
check "its keys are its owner's only" test "$(stat -c %a "$work"/a/certs/roots/1/root-{ca,k256}.key "$work/a/certs/roots/1" | paste -sd' ')" = "600 600 700"
check "set 0 is what it was" sha256sum --quiet -c "$work/set0"
check "its address opens without a restart" until_true 5 eval '[ -n "$(port a 2)" ]'
check "set 0 is shown as before" cmp "$work/meta0.json" <(ask a 1 GetMeta | jq -S 'del(.roots)')
ask a 2 GetMeta >"$work/meta1.json"
k1=$(jq -r .k256_pubkey "$work/meta1.json")
check "set 1 at its address" test "$k1 $(openssl x509 -in <(jq -r .ca_cert "$work/meta1.json") -noout -pubkey | openssl pkey -pubin -outform DER | xxd -p | tr -d '\n')" = \
	"$(jq -r '[.k256_pubkey, .ca_pubkey] | join(" ")' "$work/made.json")"
check "with evidence of its birth" jq -e '.bootstrap_info.attestation | length > 1000' "$work/meta1.json"
check "and of the KMS in its certificate, under its own CA" eval 'openssl s_client -connect "127.0.0.2:$(port a 2)" -CAfile "$(ca a 2)" -verify_return_error </dev/null 2>/dev/null |
	openssl x509 -noout -text | grep -q 62397.1.8'
roots() { dstack kms roots "https://127.0.0.$1:$(port a "$1")" "${@:2}"; }
check "the new set follows from the pinned one" test "$(roots 1 --k256-pubkey "$k0" --json | jq -c '[.pinned_set, .serves, .sets[1].k256_pubkey]')" = "[0,0,\"$k1\"]"
check "also where the new one is served" test "$(roots 2 --k256-pubkey "$k0" --json | jq -c '[.pinned_set, .serves]')" = '[0,1]'
check "and gives its CA to pin" eval 'roots 1 --k256-pubkey "$k0" --root 1 --save "$work/ca1.pem" && cmp "$work/ca1.pem" "$(ca a 2)"'
births() { roots "$1" --births --json --image-dir "$work/images" --development-root "$work/pki/root.der" --pccs-url "$(sed -n 's/^pccs_url = "\(.*\)"/\1/p' "$work/a/kms.toml")"; }
check "both sets were born in the KMS's TEE" test "$(births 1 | jq -c '[.births[] | [.set, .compose_hash, .anchor]]')" = \
	"[[0,\"$(printf 'a1%.0s' {1..32})\",\"development\"],[1,\"$(printf 'a1%.0s' {1..32})\",\"development\"]]"
refused "not for who trusts Intel only" "quote" roots 1 --births --image-dir "$work/images" --pccs-url "$(sed -n 's/^pccs_url = "\(.*\)"/\1/p' "$work/a/kms.toml")"
refused "another key than the pinned one" roots.statement roots 1 --k256-pubkey "02${k1:2:62}00"
check "a head is signed by the set of the address" dstack kms log verify "https://127.0.0.2:$(port a 2)" --kms-root "$work/ca1.pem" --k256-pubkey "$k1"

# Nobody has moved yet.
check "apps have the keys they had" test "$(keys a 1 one | jq -c "$fields")" = "$(jq -c "$fields" "$work/keys0.json")"
refused "and none at the new address" epoch.root keys a 2 one
refused "no certificate there either" epoch.root ask a 2 SignCert -d "@$work/one.csr"
refused "no environment key" epoch.root ask a 2 GetAppEnvEncryptPubKey -d "{\"app_id\":\"$app\"}"
# shellcheck disable=SC2046
refused "the roots are not handed over there" kms.root_listener ask a 2 GetKmsKey $(as one) -d '{}'

# One app moves.
# shellcheck disable=SC2046
check "an epoch on the new set" dstack kms rotate $(admin a) --app-id "$app" --root 1 --overlap 1h
keys a 2 one '{"want_previous":true}' >"$work/keys1.json"
check "its keys come from the new set" test "$(jq -c "[$fields, .epoch]" "$work/keys1.json")" = "[$(derive a --epoch 1 | jq -c "$fields"),1]"
check "those of before come along" test "$(jq -c ".epochs[0] | $fields" "$work/keys1.json")" = "$(jq -c "$fields" "$work/keys0.json")"
check "the CA is the new one" cmp <(jq -j .ca_cert "$work/keys1.json") "$(ca a 2)"
check "the record names the sets" test "$(last a | jq -c '[.epochs, .roots]')" = '[[1,0],[1,0]]'
refused "a host that sends the guest to the old root" epoch.root keys a 1 one '{"want_previous":true}'
refused "or has it ask for the epoch there" epoch.root keys a 1 one '{"epoch":1}'
check "a guest of upstream's sees no difference at the old address" test "$(keys a 1 one | jq -c "$fields")" = "$(jq -c "$fields" "$work/keys0.json")"
check "nor does another app" test "$(keys a 1 two | jq -c "$fields")" = "$(jq -c "$fields" "$work/other0.json")"
check "the environment key is that of the new set, signed by it" test "$(ask a 2 GetAppEnvEncryptPubKey -d "{\"app_id\":\"$app\",\"epoch\":1}" | jq -r .public_key)" = "$(derive a --epoch 1 | jq -r .env_public_key)"
ask a 2 SignCert -d "@$work/one.csr" | jq -r '.certificate_chain[]' >"$work/chain.pem"
check "a certificate under the new CA" openssl verify -CAfile "$(ca a 2)" -untrusted "$work/chain.pem" "$work/chain.pem"
check "its record, too" test "$(last a | jq -c '[.event, .roots]')" = '["sign-cert",[1]]'
awk '/BEGIN/ {n++} n == 2' "$work/chain.pem" >"$work/app1.pem"
list() { curl -sS --fail-with-body --cacert "$(ca a "$1")" "https://127.0.0.1:$(port a "$1")/crl/app-$app$2.crl" --connect-to "::127.0.0.$1:" | openssl crl -inform DER -CAfile "$work/app1.pem" -noout 2>&1 | grep 'verify OK'; }
check "the list of revoked ones at its address is of that CA" list 2 ''
check "also at the old address, by its number" list 1 -1
check "where the list without a number is of the old one" eval '! list 1 ""'
# shellcheck disable=SC2046
{
	refused "no way back to an older set" keypolicy.value dstack kms rotate $(admin a) --app-id "$app" --root 0
	check "new deployments on the new set" dstack kms rotate $(admin a) --root 1 --move-legacy
	check "by default" test "$(keys a 2 two | jq .epoch)" = 1
	refused "not at the old address" epoch.root keys a 1 two
	check "the document says so" eval 'dstack kms policy $(admin a) | jq -e ".default.roots == [{\"epoch\":1,\"root\":1}]"'
}
cp "$work/a/certs.state/keypolicy.json" "$work/kept.json"
sed -i 's/"root":1/"root":2/; s/"version":2/"version":9/' "$work/a/certs.state/keypolicy.json"
refused "a document that names a set that is not there" keypolicy.root keys a 1 one
cp "$work/kept.json" "$work/a/certs.state/keypolicy.json"
check "and with its own again" keys a 2 one '{"epoch":1}'

# A replica takes the whole ring.
check "a second KMS" start b no
allow_kms "\"$(setup b '/prpc/Onboard.GetAttestationInfo?json' | jq -r .mr_aggregated)\", $(sed -n 's/^mr_aggregated = \[\(.*\)\]/\1/p' "$work/policy.toml")"
check "onboards" setup b '/prpc/Onboard.Onboard?json' -d "{\"source_url\":\"https://127.0.0.1:$(port a 1)\",\"domain\":\"kms-b.test\"}"
check "with every key of the ring" eval 'for f in root-k256.key root-ca.key roots/1/root-k256.key roots/1/root-ca.key roots/1/rotation.json; do
	cmp "$work/a/certs/$f" "$work/b/certs/$f" || exit; done'
setup b /finish >/dev/null
until_true 10 grep -q ' ready address=' "$work/b/log"
check "and gives the same keys" test "$(keys b 2 one '{"epoch":1}' | jq -c "$fields")" = "$(jq -c "$fields" "$work/keys1.json")"
# shellcheck disable=SC2046
ask a 1 GetKmsKey $(as one) -d '{}' >/dev/null 2>&1 # refused: no KMS
check "one element for upstream's KMS" jq -e '.ok == false' <(last a)

# A ring that is not whole, or not what it says.
stop b
broken() # broken TEXT CODE COMMAND: does not start after it
{
	cp -r "$work/b/certs" "$work/whole"
	(cd "$work/b/certs/roots/1" && eval "$3")
	refused "$1" "$2" timeout 20 dstack-kms -c "$work/b/kms.toml"
	rm -r "$work/b/certs" && mv "$work/whole" "$work/b/certs"
}
broken "km_08 a set without its key" kms.partial_keys 'rm root-k256.key'
broken "km_08 a set that is gone" keypolicy.root 'rm -r ../1'
broken "km_08 a gap in the ring" kms.partial_keys 'mv ../1 ../2'
broken "keys of another set" roots.statement 'cp ../../root-k256.key .'
broken "a statement that was changed" roots.statement 'sed -i "s/\"time\":1/\"time\":2/" rotation.json'
broken "a CA key that others may read" file.mode 'chmod 644 root-ca.key'
check "whole again" start b yes
stop b

# Kill -9 at every call that changes a file while a set is made: there is none, or a whole one that is in the log.
sed -i 's/^enforce.*//; s/attest_rpc_cert = true/attest_rpc_cert = false/; s/^agent = .*/agent = ""/' "$work/b/kms.toml"
control() { printf "\\x$(printf %02x "$1")\0\0\0\0\0\0\0\\x$(printf %02x "$2")\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\\x00\0\0\0\0\0\0\0" >"$work/fault"; }
rm -r "$work/b/certs/roots" "$work/b/certs.state"
cp -r "$work/b/certs" "$work/clean"
rounds=0 whole=0 sound=true
for ((step = 1; step < 60; step++)); do
	rm -rf "$work/b/certs" "$work/b/certs.state" && cp -r "$work/clean" "$work/b/certs"
	control 0 "$step"
	start b yes LD_PRELOAD="$PWD/build/tests/tools/faultshim.so" FAULT_FILE="$work/fault" || { sound=false && break; }
	printf '\x01' | dd of="$work/fault" conv=notrunc status=none
	# shellcheck disable=SC2046
	dstack kms rotate $(admin b) --roots >"$work/answer" 2>&1 && answered=true || answered=false
	died=$(od -An -tu8 -j24 -N8 "$work/fault" | tr -d ' ')
	kill -9 "$pid_b" 2>/dev/null
	{ wait "$pid_b"; } 2>/dev/null
	flock "$work/b/certs.state/audit.log" true
	[ "$died" = 1 ] || break
	rounds=$((rounds + 1))
	made=$(ls "$work/b/certs/roots" 2>/dev/null | grep -cx 1)
	whole=$((whole + made))
	start b yes || { sound=false && break; }
	sets=$(dstack kms roots "https://127.0.0.1:$(port b 1)" --k256-pubkey "$k0" --json | jq '.sets | length')
	[ "$sets" = $((made + 1)) ] && { [ "$answered" = false ] || [ "$made" = 1 ]; } || sound=false
	[ "$made" = 0 ] || [ "$(last b | jq -r '[.event, .reason] | @csv' | grep -c 'start.*root sets up to 1')" = 1 ] || sound=false
	[ -z "$(find "$work/b/certs/roots" -name '.new*' 2>/dev/null)" ] || sound=false
	kill -9 "$pid_b" 2>/dev/null
	{ wait "$pid_b"; } 2>/dev/null
	flock "$work/b/certs.state/audit.log" true
	[ "$sound" = true ] || break
done 2>/dev/null
check "killed at $rounds calls: none or a whole set, and in the log ($whole whole)" eval '[ "$sound" = true ] && [ "$rounds" -ge 15 ] && [ "$whole" -ge 1 ] && [ "$whole" -lt "$rounds" ]'

# What is restored from the folders alone.
stop a
check "the roots alone give the same keys" test "$(derive a --epoch 1 | jq -c "$fields")" = "$(jq -c "$fields" "$work/keys1.json")"
rm "$work/a/certs.state/keypolicy.json"
refused "without the document it must be said which set" cli.option derive a --epoch 1
check "and with it said" test "$(derive a --epoch 1 --root 1 | jq -c "$fields")" = "$(jq -c "$fields" "$work/keys1.json")"
