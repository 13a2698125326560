#!/bin/bash
# A KMS in a CVM of its own, as `KMS=cvm make run` makes it: attested, allowed by its measurement, its disk sealed to
# this machine; apps have their keys from it and are verified with it.
. "$(dirname "$0")/lib.sh"
export DSTACK_PORT_BASE=18700
others=()
trap 'kill "${others[@]}" $relay 2>/dev/null; finish; [ "$failures" -eq 0 ] || exit 1' EXIT
relay=

if KMS=cvm scripts/run.sh >"$work/run.out" 2>&1; then ok "run with the KMS in a CVM: compose file to attested answer"; else
	not_ok "run with the KMS in a CVM"
	tail -n 40 "$work/run.out" | sed 's/^/  # /'
	dstack logs kms -n 30 2>&1 | sed 's/^/  # /'
	exit
fi
check "no KMS runs on the host" bash -c '! pgrep -f "[d]stack-kms.*$1"' - "$DSTACK_HOME"
check "the administrator's token is its owner's" test "$(stat -c %a "$DSTACK_HOME/kms/admin.token")" = 600
check "and is not in what is measured" bash -c '! grep -qf "$1/kms/admin.token" "$1/apps/kms.json"' - "$DSTACK_HOME"

app=$(vm_field hello app_id) domain=dstack.localhost port=18706
url=https://$app-8443s.$domain:$port/
verify() { dstack verify "$url" --compose "$DSTACK_HOME/apps/hello.json" --json; }
claim() { verify | jq -e ".claims[] | select(.name == \"$1\") | $2"; }
check "verify judges the KMS with the app" claim kms_evidence '.ok and (.value | length) == 64 and .anchor == "development"'
check "by its compose file" claim kms_compose ".ok and .value == \"$(sha256sum "$DSTACK_HOME/apps/kms.json" | cut -d' ' -f1)\""
cp "$DSTACK_HOME/apps/kms.json" "$work/kms.json"
sed -i 's/"name":"kms"/"name":"kmz"/' "$DSTACK_HOME/apps/kms.json"
refused "another compose file of the KMS fails the app's verdict" compose_hash.mismatch verify
cp "$work/kms.json" "$DSTACK_HOME/apps/kms.json"
refused "with another image it would be another KMS" kms.other_image dstack kms deploy --image \
	"docker.io/dstack/kms@sha256:$(printf '0%.0s' {1..64})"
refused "a stack's KMS does not move" cli.kms_moved dstack up --dir "$DSTACK_HOME" --kms host
check "the gateway's certificate is in the audit log, as given without evidence" bash -c \
	'dstack logs kms -n 200 | grep -q "development certificate signed without evidence"'
sed -n '/mr_aggregated/p' "$DSTACK_HOME/kms/policy.toml" >"$work/allowed"

root() { curl -sf --max-time 10 --cacert "$DSTACK_HOME/kms/certs/root-ca.crt" -d '{}' "https://127.0.0.1:18702/prpc/GetMeta?json" | jq -r .k256_pubkey; }
before=$(root)
check "stop" dstack stop kms
check "start" dstack start kms --wait
check "it serves again" until_true 120 curl -sf --max-time 5 --cacert "$DSTACK_HOME/kms/certs/root-ca.crt" https://127.0.0.1:18702/ready
check "with the same roots: its disk opened" test "$(root)" = "$before" -a ${#before} = 66
check "and the same measurement" bash -c 'sed -n "/mr_aggregated/p" "$1" | cmp - "$2"' - "$DSTACK_HOME/kms/policy.toml" "$work/allowed"
check "the app is verified with it again" claim kms_evidence .ok

# A second KMS in a CVM of its own takes the roots over; first with somebody in between who answers the second
# connection. He has a KMS, too, and holds a port that guests reach: the gateway's.
VERSION=next kms/image/build.sh "$work/next" http://127.0.0.1:18700 >"$work/next.txt" || not_ok "another image of the KMS"
next=$(cat "$work/next.txt")
mkdir "$work/liar"
printf 'insecure_development = true\n[core]\ncert_dir = "%s"\n[rpc]\naddress = "tcp:127.0.0.1:0"\nsans = ["10.0.2.2"]\n[policy]\nfile = "%s"\n' \
	"$work/liar/certs" "$DSTACK_HOME/kms/policy.toml" >"$work/liar/kms.toml"
dstack-kms -c "$work/liar/kms.toml" 2>"$work/liar/log" &
others+=($!)
until_true 20 grep -q 'listening.*tls=yes' "$work/liar/log"
liar=$(sed -n 's/.*listening.* port=\([0-9]*\) tls=yes.*/\1/p' "$work/liar/log")
printf '#!/bin/bash\nif mkdir "%s" 2>/dev/null; then port=18702; else port=%s; echo x >>"%s"; fi\nexec socat - TCP:127.0.0.1:$port\n' \
	"$work/liar/first" "$liar" "$work/liar/reached" >"$work/liar/relay"
chmod +x "$work/liar/relay"
kill "$(cut -d' ' -f1 "$DSTACK_HOME/run/gateway.pid")"
relay() { socat TCP-LISTEN:18703,bind=127.0.0.1,fork,reuseaddr EXEC:"$work/liar/relay" & relay=$!; }
until_true 20 bash -c '! (: </dev/tcp/127.0.0.1/18703)'
relay
refused "ch_07 another KMS on the second connection" onboard.peer_changed dstack kms deploy --image "$next" --from https://10.0.2.2:18703
check "ch_07 he was reached" test -s "$work/liar/reached"
setup() { curl -s --max-time 5 "http://127.0.0.1:18714$1"; }
check "ch_07 nothing was taken over: it still waits for its set-up" eval 'setup /health | grep -q OK && setup /finish | grep -q admin.unauthorized &&
	! curl -sk --max-time 5 https://127.0.0.1:18712/ready'
kill "$relay"
check "the gateway is back" dstack up --dir "$DSTACK_HOME"
check "the set-up's token is in nothing but its file" bash -c '! grep -rlFf "$1/kms-2/admin.token" "$1"/{log,apps,vmm/vm,kms,config.toml} &&
	! pgrep -fa "$(cat "$1/kms-2/admin.token")"' - "$DSTACK_HOME"
refused "one place for one image" kms.place_taken dstack kms upgrade --image "${next%@*}@sha256:$(printf '0%.0s' {1..64})"

# The upgrade goes on with that VM; killed on its way, it goes on again.
for wait in 0.3 1.2; do
	dstack kms upgrade --image "$next" >/dev/null 2>&1 &
	victim=$!
	sleep "$wait"
	kill -9 "$victim" 2>/dev/null
	wait "$victim" 2>/dev/null
done
check "upgrade: from KMS to KMS, the stack asks the new one" eval 'dstack kms upgrade --image "$next" --json >"$work/upgrade.json"'
check "as JSON" jq -e '.ok and .name == "kms-2" and .removed == false' "$work/upgrade.json"
check "km_17 the source's handover was opened for this measurement, and used once" eval 'dstack logs kms -n 300 >"$work/kms.log" &&
	grep -q "handover of the roots opened for mr_aggregated=$(cat "$DSTACK_HOME/kms-2/mr_aggregated")" "$work/kms.log" &&
	[ "$(grep -c "roots handed over to another KMS" "$work/kms.log")" = 1 ]'
refused "a downgrade by mistake" kms.other_image dstack kms deploy --image "$(cat "$DSTACK_HOME/kms/image.txt")"
root_at() { curl -sf --max-time 10 --cacert "$DSTACK_HOME/kms/certs/root-ca.crt" -d '{}' "https://127.0.0.1:$1/prpc/GetMeta?json" | jq -r .k256_pubkey; }
check "the same roots" test "$(root_at 18712)" = "$before"
# Its gateway was away above; a guest's WireGuard notices that within two or three minutes.
check "the app is reached through the gateway that came back" until_true 240 verify
check "the app goes on, and is verified with the new KMS" claim kms_evidence ".ok and .value == \"$(cat "$DSTACK_HOME/kms-2/mr_aggregated")\""
was=$(cat "$DSTACK_HOME/kms/mr_aggregated")
check "the old one is removed when told so" eval 'dstack kms upgrade --remove-old --json >"$work/upgrade.json"'
check "its log is kept, and holds" eval 'dstack kms log verify "$(jq -r .log "$work/upgrade.json")"'
check "it is off the policy" bash -c '! grep -q "$1" "$2"' - "$was" "$DSTACK_HOME/kms/policy.toml"
check "the app starts with keys of the new one: its disk opens" eval 'dstack stop hello && dstack start hello --wait'
visits() { curl -sSf --max-time 20 --cacert "$DSTACK_HOME/gateway/tls/ca.pem" --resolve "$app-8080.$domain:$port:127.0.0.1" "https://$app-8080.$domain:$port/" | sed -n 's/^visits: //p'; }
check "with what it had written" until_true 60 eval '[ "$(visits)" -gt 1 ]'

# Evidence in files needs no KMS; its power fails meanwhile, and comes back.
pem() { openssl s_client -connect "$1" ${2:+-servername "$2"} </dev/null 2>/dev/null | openssl x509; }
pem "127.0.0.1:$port" "$app-8443s.$domain" >"$work/app.pem"
pem 127.0.0.1:18712 >"$work/kms.pem"
kill -9 "$(pgrep -f "[q]emu-system.*$(vm_field kms-2 id)" | head -n 1)"
file() { dstack verify "$work/app.pem" --compose "$DSTACK_HOME/apps/hello.json" --json "$@"; }
check "a file is judged without the KMS, and says so" eval 'file | jq -e ".ok and .kms == \"not_checked\" and all(.claims[]; .name != \"kms_evidence\")"'
refused "unless it is to be asked" cli.connect file --kms
refused "as it is for a URL" cli.connect verify
check "or by its certificate, kept earlier" eval 'file --kms-cert "$work/kms.pem" | jq -e ".ok and any(.claims[]; .name == \"kms_evidence\" and .ok)"'
refused "which must be a KMS's" ratls.usage file --kms-cert "$work/app.pem"
check "it comes back with its disk and the same roots" eval 'dstack kms deploy >/dev/null && [ "$(root_at 18712)" = "$before" ]'

# Taken off the list, it stops at the next call.
sed -i 's/^mr_aggregated = .*/mr_aggregated = ["'"$(printf 'f%.0s' {1..64})"'"]/' "$DSTACK_HOME/kms/policy.toml"
temp_ca() { curl -s --max-time 10 --cacert "$DSTACK_HOME/kms/certs/root-ca.crt" -d '{}' "https://127.0.0.1:18712/prpc/GetTempCaCert?json"; }
check "a KMS that is no longer allowed gives nothing" until_true 20 bash -c "$(declare -f temp_ca); temp_ca | grep -q kms.self_denied"
check "down" dstack down --dir "$DSTACK_HOME"
check "nothing of the stack is left" sh -c "! pgrep -af '${DSTACK_HOME%e}[e]'"
