#!/bin/bash
# The KMS's audit log, epochs and revocations on the real programs: what is recorded, what the log proves to whom,
# what a rotation changes, how soon a revocation holds, what is restored from a backup of the roots alone.
. "$(dirname "$0")/lib.sh"
. tests/e2e/kms.sh
trap 'kms_stop_all; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

kms_world
kms_config "$kms_admin" '[audit]
unproven_per_minute = 4
[certificates]
crl_url = "https://kms.example:8000/"' "cache_dir = \"$work/cache\"" >"$work/kms.toml"
start() { kms_start "$work/kms.toml"; }
stop() { kms_stop; }
ask() { kms_ask "$@"; } # ask METHOD [CURL OPTIONS]
keys() { ask GetAppKey --cert "$work/good.crt" --key "$work/good.key" -d "${1-'{}'}"; } # keys [REQUEST]
admin=(--admin "unix:$work/admin.sock:" --token-file "$work/token")
last() { tail -n 1 "$work/state/audit.log"; }
verify() { dstack kms log verify "$@"; }

check "starts" start
kms_evidence good --instance "$inst"
k256=$(ask GetMeta | jq -r .k256_pubkey)

# What is recorded.
check "the log begins with its birth and the start" test "$(jq -r .event "$work/state/audit.log" | tr '\n' ' ')" = "log-created start "
keys '{}' >"$work/keys0.json"
check "a release is recorded before its answer" test "$(last | jq -r '[.event, .ok, .boot.appId, .boot.instanceId, .epochs[0]] | @csv')" = \
	"\"key-release\",true,\"$app\",\"$inst\",0"
check "the guest gets its record" test "$(jq -r .audit_record "$work/keys0.json")" = "$(last)"
jq -r .audit_record "$work/keys0.json" >"$work/record"
check "no secret is in it" eval '! grep -qiE "$(jq -r ".disk_crypt_key, .env_crypt_key, .k256_key" "$work/keys0.json" | paste -sd"|")" "$work/state/audit.log"'
$guest csr --image "$work/images/one" --app "$app" --compose "$compose" --instance "$inst" --key "$work/good.key" --quote "$work/good.quote" \
	--subject web --san app.example >"$work/csr.json"
certificate() # $work/chain.0, .1, and $serial
{
	ask SignCert -d "@$work/csr.json" >"$work/chain.json" || { cat "$work/chain.json" && return 1; }
	for i in 0 1; do jq -r ".certificate_chain[$i]" "$work/chain.json" >"$work/chain.$i"; done
	serial=$(openssl x509 -in "$work/chain.0" -noout -serial | cut -d= -f2)
}
check "a certificate" certificate
check "is recorded with the digest that was signed" eval 'last | jq -e "(.event == \"sign-cert\") and .ok and (.digest | length == 64)"'
check "and its serial number and end" test "$(last | jq -r '[.serial, .not_after] | @csv')" = \
	"\"$(printf '%40s' "${serial,,}" | tr ' ' 0)\",$(date -d "$(openssl x509 -in "$work/chain.0" -noout -enddate | cut -d= -f2)" +%s)"

# The list of revoked certificates, as OpenSSL reads it.
crl() # crl [APP]: $work/app.crl
{
	curl -sS --fail-with-body --cacert "$work/certs/root-ca.crt" "$url/crl/app-${1-$app}.crl" -o "$work/app.der" || { cat "$work/app.der" && return 1; }
	openssl crl -inform DER -in "$work/app.der" -out "$work/app.crl"
}
holds() { crl && openssl verify -crl_check -CAfile "$work/certs/root-ca.crt" -untrusted "$work/chain.1" -CRLfile "$work/app.crl" "$work/chain.0"; }
listed() { crl && openssl crl -in "$work/app.crl" -noout -text | grep -qi "Serial Number: 0*$serial"; }
number() { openssl crl -in "$work/app.crl" -noout -crlnumber; }
check "an app's list of revoked certificates" crl
check "is signed by the app's CA" eval 'openssl crl -in "$work/app.crl" -CAfile "$work/chain.1" -noout 2>&1 | grep -q "verify OK"'
check "and recorded" eval 'last | jq -e ".event == \"sign-crl\" and .boot.appId == \"$app\" and (.digest | length == 64)"'
check "a certificate that is not on it holds (openssl verify -crl_check)" holds
before=$(number)
check "asked again it is the same list" eval 'crl && [ "$(number)" = "$before" ]'
check "revoke one certificate" dstack kms revoke cert "$serial" --app-id "$app" "${admin[@]}"
check "its number is on the list at once" listed
refused "and openssl refuses it" "certificate revoked" holds
check "under a higher number" test "$((16#$(number | sed 's/.*0x//')))" -gt "$((16#${before#*0x}))"
check "take it back" dstack kms revoke cert "$serial" --app-id "$app" "${admin[@]}" --lift
check "and it holds again" holds
refused "a certificate without its app" keypolicy.value dstack kms revoke cert "$serial" "${admin[@]}"
check "an app without certificates has an empty list" eval 'crl "$(printf "0e%.0s" {1..20})" && openssl crl -in "$work/app.crl" -noout -text | grep -q "No Revoked"'
refused "a list of nothing" rpc.not_found crl 00
mv "$work/policy.toml" "$work/kept"
refused "a denial of the policy" policy. keys '{}'
check "is recorded with its code and who asked" eval 'last | jq -e "(.ok | not) and (.code | startswith(\"policy.\")) and .boot.appId == \"$app\""'
mv "$work/kept" "$work/policy.toml"
refused "a peer without evidence" ratls.no_evidence ask GetAppKey -d '{}'
check "is recorded, too" eval 'last | jq -e ".boot == null and .code == \"ratls.no_evidence\""'
for _ in 1 2 3; do ask GetAppKey -d '{}' >/dev/null 2>&1; done
lines=$(wc -l <"$work/state/audit.log")
refused "peers without evidence cannot fill the disk" audit.rate ask GetAppKey -d '{}'
check "what they asked beyond the limit left nothing" test "$(wc -l <"$work/state/audit.log")" = "$lines"
keys '{}' >"$work/keys1.json"
check "the next record counts them" eval 'last | jq -e ".skipped == 1"'

# What the log proves to whom.
check "km_18 a head signed by the pinned root key" verify "$url" --kms-root "$work/certs/root-ca.crt" --k256-pubkey "$k256" --save "$work/head" --json
refused "km_18 a head of another key" audit.signer verify "$url" --kms-root "$work/certs/root-ca.crt" --k256-pubkey "02${k256:2:62}00"
check "km_18 the record that the guest got is in the tree" verify "$url" --kms-root "$work/certs/root-ca.crt" --k256-pubkey "$k256" --record "$work/record"
sed 's/"epochs":\[0\]/"epochs":[1]/' "$work/record" >"$work/forged"
refused "km_18 another record in its place" audit.proof verify "$url" --kms-root "$work/certs/root-ca.crt" --record "$work/forged"
keys '{}' >/dev/null
check "km_18 the log goes on from an earlier head" verify "$url" --kms-root "$work/certs/root-ca.crt" --head "$work/head"
check "km_18 offline as well" verify "$work/state" --head "$work/head" --record "$work/record" --k256-pubkey "$k256"
size=$(jq .size "$work/head")
ask GetAuditProof -d "{\"seq\":0,\"size\":$size}" >"$work/proof.json"
check "a proof names the size it was asked for" jq -e ".size == $size and (.inclusion | length > 0)" "$work/proof.json"
refused "a proof about records that are not there" audit.range ask GetAuditProof -d '{"seq":100000}'
records=$(curl -sS --unix-socket "$work/admin.sock" -H 'X-Admin-Token: secret-token' http://x/prpc/Admin.GetAuditLog?json -d '{"from":2,"max":1}')
check "an admin reads records" test "$(jq -r '.records[0]' <<<"$records")" = "$(sed -n 3p "$work/state/audit.log")"
refused "nobody else does" rpc.unknown_method ask GetAuditLog -d '{}'
check "stops" stop
check "a head is kept at the end" test "$(tail -n 1 "$work/state/audit.heads" | jq .size)" = "$(wc -l <"$work/state/audit.log")"

# A log that was touched.
damage() # damage TEXT CODE SED-EXPRESSION
{
	cp "$work/state/audit.log" "$work/whole"
	sed -i "$3" "$work/state/audit.log"
	refused "$1: dstack kms log verify" "$2" verify "$work/state"
	refused "$1: the KMS does not start" "$2" timeout 20 dstack-kms -c "$work/kms.toml"
	mv "$work/whole" "$work/state/audit.log"
}
damage "a changed record" audit.chain '3s/"ok":true/"ok":false/'
damage "a missing record" audit.chain 3d
damage "a record in another writing" audit.record '3s/,"ok"/, "ok"/'
damage "a log cut at the end" audit.truncated '$d'
cp "$work/state/audit.log" "$work/whole"
head -c -20 "$work/whole" >"$work/state/audit.log"
refused "a signed record that lost its end is not taken for unfinished" audit.truncated timeout 20 dstack-kms -c "$work/kms.toml"
{ cat "$work/whole" && head -c 100 "$work/record"; } >"$work/state/audit.log"
check "an unfinished record is cut" start
check "and said to be" grep -q 'unfinished record was cut bytes=100' "$work/kms.log"
check "nothing else is" eval 'head -n "$(wc -l <"$work/whole")" "$work/state/audit.log" | cmp - "$work/whole"'
refused "two KMSs on one log" audit.locked timeout 20 dstack-kms -c "$work/kms.toml"

# Epochs.
derive() { dstack kms derive --cert-dir "$work/certs" --app-id "$app" --instance-id "$inst" --json "$@"; }
fields='[.disk_crypt_key, .env_crypt_key, .k256_key, .k256_signature]'
check "the roots alone give the same keys (derive)" test "$(derive | jq -c "$fields")" = "$(jq -c "$fields" "$work/keys0.json")"
refused "an epoch that is not there yet" epoch.not_served keys '{"epoch":1}'
check "rotate" dstack kms rotate "${admin[@]}" --app-id "$app" --overlap 3
keys '{}' >"$work/old.json"
keys '{"epoch":1,"want_previous":true}' >"$work/new.json"
check "a guest that names no epoch sees no difference" test "$(jq -c "$fields" "$work/old.json")" = "$(jq -c "$fields" "$work/keys0.json")"
check "the new epoch has other keys" test "$(jq -c "[$fields, .epoch, .current_epoch]" "$work/new.json")" = "[$(derive --epoch 1 | jq -c "$fields"),1,1]"
check "and brings the one before, with its end" eval 'jq -e ".epochs[0].epoch == 0 and .epochs[0].revoke_at > 0" "$work/new.json" &&
	test "$(jq -c ".epochs[0] | $fields" "$work/new.json")" = "$(jq -c "$fields" "$work/keys0.json")"'
check "a guest that knows of epochs and names none gets the newest" test "$(keys '{"want_previous":true}' | jq -c '[.epoch, .epochs[0].epoch]')" = '[1,0]'
env() { ask GetAppEnvEncryptPubKey -d "{\"app_id\":\"$app\"$1}"; }
check "the environment key of an epoch is that of its secret" test "$(env ',"epoch":1' | jq -r .public_key)" = "$(derive --epoch 1 | jq -r .env_public_key)"
check "a seed that the guest has not measured is none" test "$(keys '{"epoch":1,"deployment_seed":"0102"}' | jq .disk_crypt_key)" = "$(jq .disk_crypt_key "$work/new.json")"
sleep 3
refused "after the overlap the old epoch is over" epoch.revoked keys '{"epoch":0}'
refused "also for guests that name none, until legacy is moved" epoch.revoked keys '{}'
refused "and for its environment key" epoch.revoked env ''
check "certificates of its time are on the list" listed
check "new ones are not" eval 'certificate && holds'
check "rotate for them" dstack kms rotate "${admin[@]}" --app-id "$app" --move-legacy
check "and they are at the new one" test "$(keys '{}' | jq .epoch)" = 2

# Revocations.
revoke() # revoke CODE KIND VALUE: refused at once, also after a restart, until it is taken back
{
	certificate && holds >/dev/null || not_ok "a new certificate before $2 is revoked"
	check "revoke $2" dstack kms revoke "$2" "$3" "${admin[@]}" --reason "a test"
	refused "$2 revoked: keys" "$1" keys '{}'
	refused "$2 revoked: certificate" "$1" ask SignCert -d "@$work/csr.json"
	check "the denial is recorded" eval "last | jq -e '.code == \"$1\"'"
	check "$2 revoked: its certificates are on the list" listed
	check "take it back" dstack kms revoke "$2" "$3" "${admin[@]}" --lift
	check "and keys are given again, and its certificates hold" eval "keys '{}' && holds"
}
device=$(jq -r 'select(.boot) | .boot.deviceId' "$work/state/audit.log" | tail -n 1)
revoke revoked.app app "$app"
revoke revoked.compose compose "$compose"
revoke revoked.device device "$device"
revoke revoked.image image "$image"
check "changes are recorded with the document's hash" eval 'jq -es "map(select(.event == \"policy-change\")) | length > 8 and all(.digest | length == 64)" "$work/state/audit.log"'
began=$SECONDS
certificate
check "revoke by the file" dstack kms revoke image "$image" --state "$work/state"
refused "holds at once" revoked.image keys '{}'
check "in less than 60 s" test $((SECONDS - began)) -lt 60
check "restarts" eval 'stop && start'
refused "and holds after a restart" revoked.image keys '{}'
check "so does the list, from the log alone" listed
cp "$work/state/keypolicy.json" "$work/later.json"
check "take it back by the file" dstack kms revoke image "$image" --state "$work/state" --lift
check "keys again" keys '{}'
cp "$work/state/keypolicy.json" "$work/newest.json"
cp "$work/later.json" "$work/state/keypolicy.json"
refused "km_19 an older document" keypolicy.rollback keys '{}'
check "stops" stop
refused "km_19 nor at a start" keypolicy.rollback timeout 20 dstack-kms -c "$work/kms.toml"
rm "$work/state/keypolicy.json"
refused "km_19 nor none at all" keypolicy.rollback timeout 20 dstack-kms -c "$work/kms.toml"
echo '{' >"$work/state/keypolicy.json"
refused "nor a broken one" keypolicy.syntax timeout 20 dstack-kms -c "$work/kms.toml"
cp "$work/newest.json" "$work/state/keypolicy.json"
check "starts with the newest" start
check "the whole log holds, and its heads" verify "$work/state" --head "$work/head" --k256-pubkey "$k256"

# Time does not run backwards over a restart.
stop
echo $(($(date +%s) + 1000)) >"$work/state/high-water"
check "starts with a later time seen" start
check "end an epoch in its past" dstack kms revoke epoch 1 --app-id "$app" --at $(($(date +%s) + 500)) "${admin[@]}"
refused "it is over although the clock says it is not" epoch.revoked keys '{"epoch":1}'
