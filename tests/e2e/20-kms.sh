#!/bin/bash
# dstack-kms as a program: its keys and their files, its methods over TLS, whom it refuses and with which code.
. "$(dirname "$0")/lib.sh"
guest=build/tests/tools/fakeguest
app=00112233445566778899aabbccddeeff00112233 compose=$(printf '5a%.0s' {1..32})
inst=$(printf '01%.0s' {1..20}) inst2=$(printf '02%.0s' {1..20})
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

dstack-softtee pki --dir "$work/pki" && dstack-softtee pki --dir "$work/other"
dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
pids+=($!)
until_true 5 grep -q port= "$work/serve.log"
pccs=http://127.0.0.1:$(sed -n 's/.*port=//p' "$work/serve.log")
image=$($guest image --image "$work/images/one")

config() # config FILE [LINES OF THE TOP LEVEL]
{
	cat >"$1" <<-EOF
		${2-insecure_development = true}
		[core]
		cert_dir = "$work/kms/certs"
		bootstrap = true
		[rpc]
		address = "tcp:127.0.0.1:0"
		sans = ["127.0.0.1", "kms.test"]
		[image]
		dir = "$work/images"
		[attestation]
		pccs_url = "$pccs"
		development_root = "$work/pki/root.der"
		[policy]
		file = "$work/policy.toml"
	EOF
}
config "$work/kms.toml"
start() # start: a KMS in the background, $kms its id, $url its address
{
	: >"$work/kms.log"
	dstack-kms -c "$work/kms.toml" 2>"$work/kms.log" &
	kms=$!
	pids+=("$kms")
	until_true 10 grep -q 'listening.*port=' "$work/kms.log" || { cat "$work/kms.log" && return 1; }
	url=https://127.0.0.1:$(sed -n 's/.*listening.* port=\([0-9]*\).*/\1/p' "$work/kms.log")
}
stop() { kill "$kms" && wait "$kms"; }
ask() # ask METHOD [CURL OPTIONS]: prints the answer; fails unless the status is 200
{
	local method=$1
	shift
	curl -sS --fail-with-body --cacert "$work/kms/certs/root-ca.crt" "$@" "$url/prpc/$method?json"
}
roots() { sha256sum "$work"/kms/certs/{root-ca.key,root-k256.key,tmp-ca.key}; }

# Configuration.
config "$work/dev.toml" ""
refused "development root without insecure_development: --check" config.development_root dstack-kms -c "$work/dev.toml" --check
refused "development root without insecure_development: start" config.development_root dstack-kms -c "$work/dev.toml"
check "nothing was made by the refused start" test ! -e "$work/kms"
check "the configuration is accepted by --check" dstack-kms -c "$work/kms.toml" --check
check "--check makes no keys" test ! -e "$work/kms"
sed 's/kms.test/-kms.test/' "$work/kms.toml" >"$work/bad.toml"
refused "a certificate name that is none" config.names dstack-kms -c "$work/bad.toml" --check
echo 'os_images = [' >"$work/policy.toml"
refused "a policy file that does not parse" policy.unavailable dstack-kms -c "$work/kms.toml" --check
rm "$work/policy.toml"

# Bootstrap and what anyone may ask.
check "bootstraps and starts" start
roots >"$work/roots"
check "keys are private" test "$(stat -c %a "$work"/kms/certs/*.key | sort -u)" = 600
check "insecure development is logged" grep -q 'INSECURE DEVELOPMENT' "$work/kms.log"
ask GetMeta >"$work/meta.json"
check "GetMeta names the root certificate" test "$(jq -r .ca_cert "$work/meta.json")" = "$(cat "$work/kms/certs/root-ca.crt")"
check "GetMeta names the root key and says it is a development KMS" jq -e '.is_dev and (.k256_pubkey | length == 66)' "$work/meta.json"
ask KMS.GetTempCaCert -d null >"$work/temp.json"
jq -r .temp_ca_cert "$work/temp.json" >"$work/tmp.crt"
jq -r .temp_ca_key "$work/temp.json" >"$work/tmp.key"
check "GetTempCaCert gives a CA and its key" test "$(openssl x509 -in "$work/tmp.crt" -noout -pubkey)" = "$(openssl pkey -in "$work/tmp.key" -pubout)"
check "the server's certificate is for its names" openssl verify -CAfile "$work/kms/certs/root-ca.crt" -verify_hostname kms.test "$work/kms/certs/rpc.crt"
check "environment key of an app" jq -e '.public_key | length == 64' <(ask "GetAppEnvEncryptPubKey" -d "{\"app_id\":\"$app\"}")
refused "environment key of 19 bytes of app" kms.app_id ask GetAppEnvEncryptPubKey -d '{"app_id":"00"}'
refused "an unknown method" rpc.unknown_method ask GetSecrets
refused "an API version of the future" kms.api_version ask GetAppKey -d '{"api_version":2}'
check "TLS 1.2" curl -sS --tls-max 1.2 --cacert "$work/kms/certs/root-ca.crt" "$url/health"
refused "TLS 1.2 without forward secrecy or AEAD" "alert" curl -sSk --tls-max 1.2 --ciphers ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256 "$url/health"
refused "TLS 1.1" "alert" curl -sSk --tlsv1.0 --tls-max 1.1 --ciphers ALL:@SECLEVEL=0 "$url/health"

# Evidence.
who=(--image "$work/images/one" --app "$app" --compose "$compose")
evidence() # evidence NAME PKI WHO…: a key, a quote over it and the certificate with both: $work/NAME.{key,crt}
{
	local name=$1 pki=$2
	shift 2
	# shellcheck disable=SC2046 # options, one word each
	dstack-softtee quote --dir "$pki" --out "$work/$name.quote" $($guest quote-args "$@" --key "$work/$name.key") &&
		certificate "$name" "$@" --quote "$work/$name.quote"
}
certificate() # certificate NAME WHO…
{
	local name=$1
	shift
	$guest cert "$@" --key "$work/$name.key" --ca "$work/tmp.crt" --ca-key "$work/tmp.key" --out "$work/$name.crt"
}
keys() # keys NAME: without what is another each time
{
	ask GetAppKey --cert "$work/$1.crt" --key "$work/$1.key" -d '{"api_version":1}' >"$work/answer.json" || { cat "$work/answer.json" && return 1; }
	jq -c 'del(.audit_seq, .audit_record)' "$work/answer.json"
}
evidence good "$work/pki" "${who[@]}" --instance "$inst"
refused "no client certificate" ratls.no_evidence ask GetAppKey -d '{}'
certificate bare "${who[@]}"
refused "a client certificate without evidence" ratls.no_evidence keys bare
certificate thief "${who[@]}" --quote "$work/good.quote"
refused "evidence of another key" ratls.key_mismatch keys thief
refused "evidence of another key, on a method that needs none" ratls.key_mismatch ask GetMeta --cert "$work/thief.crt" --key "$work/thief.key"
evidence foreign "$work/other" "${who[@]}" --instance "$inst"
refused "evidence under another root of the same names" root.not_trusted keys foreign
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/O=Dstack/CN=Dstack Client Temp CA" \
	-keyout "$work/alien.key" -out "$work/alien.crt" 2>/dev/null
refused "a client certificate of another CA of the same name" "curl: (" ask GetMeta --cert "$work/alien.crt" --key "$work/alien.key"

# Policy.
refused "a missing allow-list" policy.empty keys good
: >"$work/policy.toml"
refused "an empty allow-list" policy.empty keys good
policy() # policy APP COMPOSE IMAGE [TOP LEVEL]
{
	printf '%s\nos_images = ["%s"]\ngateway_app_id = "%s"\n[[app]]\nid = "%s"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' \
		"${4-development = true}" "$3" "$inst" "$1" "$2" >"$work/policy.new"
	mv "$work/policy.new" "$work/policy.toml"
}
policy "$inst" "$compose" "$image"
refused "an app not on the allow-list" policy.app_not_allowed keys good
policy "$app" "$image" "$image"
refused "a compose file not on the allow-list" policy.compose_not_allowed keys good
policy "$app" "$compose" "$compose"
refused "an image not on the allow-list" policy.image_not_allowed keys good
policy "$app" "$compose" "$image" ""
refused "development evidence that the policy does not allow" policy.development keys good
policy "$app" "$compose" "$image"
keys good >"$work/keys1.json"
check "an allowed app gets its keys" jq -e '(.disk_crypt_key | length == 64) and (.env_crypt_key | length == 64) and
	(.k256_key | length == 64) and (.k256_signature | length == 130)' "$work/keys1.json"
check "and learns image and gateway" test "$(jq -r '.os_image_hash + .gateway_app_id' "$work/keys1.json")" = "$image$inst"
keys good >"$work/keys2.json"
check "the same keys when it asks again" cmp "$work/keys1.json" "$work/keys2.json"
evidence second "$work/pki" "${who[@]}" --instance "$inst2"
keys second >"$work/keys3.json"
check "km_07 another instance has another disk key" test "$(jq .disk_crypt_key "$work/keys1.json")" != "$(jq .disk_crypt_key "$work/keys3.json")"
check "and the same app key" test "$(jq .k256_key "$work/keys1.json")" = "$(jq .k256_key "$work/keys3.json")"
for i in 1 2; do
	evidence "plain$i" "$work/pki" "${who[@]}"
	keys "plain$i" >"$work/plain$i.json"
done
check "km_07 without instance ids all have the same disk key" cmp "$work/plain1.json" "$work/plain2.json"
check "km_07 the one that is documented" test "$(jq -r .disk_crypt_key "$work/plain1.json")" = "$(dstack kms derive --cert-dir "$work/kms/certs" --app-id "$app" --json | jq -r .disk_crypt_key)"
check "km_07 which none with an id has" test "$(jq -r .disk_crypt_key "$work"/{plain1,keys1,keys3}.json | sort -u | wc -l)" = 3

# Certificates.
sign() # sign NAME CSR OPTIONS…: SignCert; the chain's certificates in $work/NAME.{0,1,2}
{
	local name=$1 i
	shift
	$guest csr "${who[@]}" --instance "$inst" --key "$work/good.key" --quote "$work/good.quote" "$@" >"$work/csr.json"
	ask SignCert -d "@$work/csr.json" >"$work/$name.json" || { cat "$work/$name.json" && return 1; }
	for i in 0 1 2; do jq -r ".certificate_chain[$i]" "$work/$name.json" >"$work/$name.$i"; done
}
check "SignCert signs a request" sign web --subject web --san app.example --days 400
check "its chain holds under the root" openssl verify -CAfile "$work/kms/certs/root-ca.crt" -untrusted "$work/web.1" \
	-purpose sslserver -verify_hostname app.example "$work/web.0"
check "it carries app id, usage, evidence in both forms and app info" eval '[ "$(openssl x509 -in "$work/web.0" -noout -text |
	grep -o "1\.3\.6\.1\.4\.1\.62397\.1\.[0-9]*" | tr "\n" " ")" = "$(printf "1.3.6.1.4.1.62397.1.%s " 3 9 4 8 1 2)" ]'
check "it lives 90 days at most" openssl x509 -in "$work/web.0" -noout -checkend $((89 * 86400))
refused "it does not live longer" "will expire" openssl x509 -in "$work/web.0" -noout -checkend $((91 * 86400))
check "SignCert signs a request of version 1" sign v1 --v1 1 --subject web --san app.example
check "with the same evidence in both forms" eval '[ "$(openssl x509 -in "$work/v1.0" -noout -text |
	grep -o "1\.3\.6\.1\.4\.1\.62397\.1\.[0-9]*" | tr "\n" " ")" = "$(printf "1.3.6.1.4.1.62397.1.%s " 3 4 8 1 2)" ]'
der() { openssl asn1parse -in "$1" | grep -A1 ":1\.3\.6\.1\.4\.1\.62397\.1\.$2\$" | sed -n 's/.*DUMP\]://p' | grep . || echo none; }
check "byte for byte what version 2 carries" test "$(der "$work/v1.0" 8)" != none -a "$(der "$work/v1.0" 8)$(der "$work/v1.0" 1)$(der "$work/v1.0" 2)" = "$(der "$work/web.0" 8)$(der "$work/web.0" 1)$(der "$work/web.0" 2)"
refused "km_10 a name of the KMS in a request" csr.san sign kms --subject web --san kms.test
refused "km_10 a wildcard over the KMS's name" csr.san sign kms --subject web --san '*.test'
refused "km_10 another app's name in a request" csr.san sign kms --subject web --san "$inst2.apps.example"
refused "km_10 ch_06 the KMS's name as subject" csr.subject sign kms --subject kms.test
check "km_10 a name of its own" sign own --subject web --san "$app-8080.apps.example" --days 3650
check "km_10 it is no CA" eval '! openssl x509 -in "$work/own.0" -noout -text | grep -q CA:TRUE'
refused "km_10 nor does it live ten years" "will expire" openssl x509 -in "$work/own.0" -noout -checkend $((91 * 86400))
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -addext "basicConstraints=critical,CA:TRUE" \
	-keyout "$work/req.key" -outform DER -out "$work/req.der" 2>/dev/null
jq -cn --arg c "$(xxd -p "$work/req.der" | tr -d '\n')" '{api_version: 2, csr: $c, signature: "00"}' >"$work/csr2.json"
refused "km_10 an X.509 request for a CA" csr. ask SignCert -d "@$work/csr2.json"
jq -c '.vm_config = "{\"os_image_hash\":\"'"$compose"'\",\"cpu_count\":1,\"memory_size\":2147483648,\"qemu_version\":\"7.2.0\",\"num_nics\":1,\"swtpm\":true,\"tee\":\"soft\"}"' \
	"$work/csr.json" >"$work/csr2.json"
refused "km_11 good evidence with the config of another" measure. ask SignCert -d "@$work/csr2.json"
check "km_11 the identity is the evidence's" eval 'openssl asn1parse -in "$work/own.0" | grep -A1 "62397.1.3" | grep -qi "$app"'
openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl pkcs8 -topk8 -nocrypt >"$work/foreign.key"
$guest csr "${who[@]}" --instance "$inst" --key "$work/foreign.key" --quote "$work/good.quote" --subject web >"$work/csr3.json"
refused "km_11 another key with that evidence" report_data. ask SignCert -d "@$work/csr3.json"
sign web --subject web --san app.example --days 400 >/dev/null
jq -c '.signature |= .[0:-2] + "00"' "$work/csr.json" >"$work/csr2.json"
refused "a request that its key did not sign" csr. ask SignCert -d "@$work/csr2.json"
for method in SignCert GetTempCaCert GetAuditCheckpoint GetAuditProof "GetAppEnvEncryptPubKey&app_id=$app"; do
	refused "ch_11 relayed evidence in the client certificate: ${method%%&*}" ratls.key_mismatch curl -sS --fail-with-body \
		--cacert "$work/kms/certs/root-ca.crt" --cert "$work/thief.crt" --key "$work/thief.key" \
		"$url/prpc/${method%%&*}?json" -d "$([ "$method" = SignCert ] && cat "$work/csr.json" || echo "{\"app_id\":\"$app\"}")"
done
refused "a request of an unknown version" csr.version ask SignCert -d '{"api_version":3,"csr":"00","signature":"00"}'

# The processes: the first one holds the listeners, of the others one has the keys, one the network, the rest judge.
of_name() { pgrep -P "$kms" "$1"; }
limited() # limited PID: every thread of it
{
	[ -z "$(grep -L '^Seccomp:.*2' "/proc/$1"/task/*/status)" ] && [ -z "$(grep -L '^NoNewPrivs:.*1' "/proc/$1"/task/*/status)" ]
}
check "one process has the keys" test "$(of_name kms-keys | wc -l)" = 1
check "one has the network" test "$(of_name kms-net | wc -l)" = 1
check "five judge evidence" test "$(of_name kms-judge | wc -l)" = 5
for pid in $kms $(pgrep -P "$kms"); do
	check "$(cat "/proc/$pid/comm") is limited in its system calls and may gain nothing" limited "$pid"
done
check "restarts" eval 'stop && start'
check "with the same roots" eval 'roots | cmp - "$work/roots"'
keys good >"$work/keys2.json"
check "and gives the same keys" cmp "$work/keys1.json" "$work/keys2.json"
was=$(of_name kms-keys)
kill -9 "$was"
until_true 5 eval '[ -n "$(of_name kms-keys)" ] && [ "$(of_name kms-keys)" != "$was" ]'
check "a key process that died is followed by another" test "$(of_name kms-keys | wc -l)" = 1
keys good >"$work/keys2.json"
check "which gives the same keys" cmp "$work/keys1.json" "$work/keys2.json"
stop

# Damaged key folders.
for f in root-ca.key root-ca.crt root-k256.key tmp-ca.key tmp-ca.crt rpc.key; do
	mv "$work/kms/certs/$f" "$work/kept"
	refused "without $f" kms.partial_keys timeout 20 dstack-kms -c "$work/kms.toml"
	mv "$work/kept" "$work/kms/certs/$f"
done
chmod 644 "$work/kms/certs/root-ca.key"
refused "a root key that others may read" "root-ca.key" timeout 20 dstack-kms -c "$work/kms.toml"
chmod 600 "$work/kms/certs/root-ca.key"
cp "$work/tmp.crt" "$work/other.crt" && cp "$work/kms/certs/root-ca.crt" "$work/kept" && cp "$work/other.crt" "$work/kms/certs/root-ca.crt"
refused "a root certificate of another key" kms.ca_mismatch timeout 20 dstack-kms -c "$work/kms.toml"
cp "$work/kept" "$work/kms/certs/root-ca.crt"
check "the roots are untouched" eval 'roots | cmp - "$work/roots"'
mkdir -p "$work/full" && echo note >"$work/full/note"
sed "s,$work/kms/certs,$work/full," "$work/kms.toml" >"$work/full.toml"
refused "making keys in a folder that is in use" kms.dir_not_empty timeout 20 dstack-kms -c "$work/full.toml"
check "leaves nothing behind" test "$(ls -A "$work/full" && ls -d "$work"/.kms-new* 2>/dev/null)" = note

# km_08: killed at any moment of its first start, a KMS has no keys or all of them.
sed "s,$work/kms/certs,$work/crash/certs," "$work/kms.toml" >"$work/crash.toml"
none=0 all=0 some=
for ms in 010 020 030 035 040 045 050 055 060 065 070 080 090 110; do
	rm -rf "$work/crash" && mkdir "$work/crash"
	dstack-kms -c "$work/crash.toml" 2>/dev/null &
	victim=$!
	sleep "0.$ms"
	{ kill -9 "$victim" && wait "$victim"; } 2>/dev/null
	until_true 5 eval '! pgrep -f "dstack-kms -c $work/crash.toml"'
	if [ ! -e "$work/crash/certs" ]; then none=$((none + 1)); else
		n=$(cd "$work/crash/certs" && ls root-ca.key root-ca.crt root-k256.key tmp-ca.key tmp-ca.crt rpc.key rpc-domain 2>/dev/null | wc -l)
		[ "$n" = 7 ] && all=$((all + 1)) || some="$some $ms:$n"
	fi
done
echo "# killed: $none without keys, $all with all of them"
check "km_08 killed at any moment: no keys or all" test -z "$some"
rm -rf "$work/crash" && mkdir -p "$work/crash/.kms-new-certs-abcdef" "$work/crash/.kms-new-other-abcdef" && touch "$work/crash/.kms-new-certs-abcdef/root-ca.key"
dstack-kms -c "$work/crash.toml" 2>/dev/null &
victim=$!
until_true 10 test -e "$work/crash/certs/rpc.crt"
check "what a killed one left is removed, another's is not" test "$(ls -d "$work"/crash/.kms-new*)" = "$work/crash/.kms-new-other-abcdef"
kill "$victim"
wait "$victim"

# Certificates for a gateway outside a CVM.
issue() { dstack-kms issue --config "$1" --name gateway --san 10.0.2.2 --app-id "$inst" --out "$work/gw"; }
refused "a gateway certificate without insecure_development" config.development_only eval \
	'grep -v development_root "$work/dev.toml" >"$work/plain.toml"; issue "$work/plain.toml"'
check "a gateway certificate for development" issue "$work/kms.toml"
check "whose chain holds under the root" openssl verify -CAfile "$work/gw/ca.crt" -untrusted "$work/gw/rpc.crt" \
	-verify_ip 10.0.2.2 "$work/gw/rpc.crt"
check "with a private key" test "$(stat -c %a "$work/gw/rpc.key")" = 600
