#!/bin/bash
# A KMS in a CVM of its own, as `KMS=cvm make run` makes it: attested, allowed by its measurement, its disk sealed to
# this machine; apps have their keys from it and are verified with it.
. "$(dirname "$0")/lib.sh"
export DSTACK_PORT_BASE=18700

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

# Taken off the list, it stops at the next call.
sed -i 's/^mr_aggregated = .*/mr_aggregated = ["'"$(printf 'f%.0s' {1..64})"'"]/' "$DSTACK_HOME/kms/policy.toml"
temp_ca() { curl -s --max-time 10 --cacert "$DSTACK_HOME/kms/certs/root-ca.crt" -d '{}' "https://127.0.0.1:18702/prpc/GetTempCaCert?json"; }
check "a KMS that is no longer allowed gives nothing" until_true 20 bash -c "$(declare -f temp_ca); temp_ca | grep -q kms.self_denied"
check "down" dstack down --dir "$DSTACK_HOME"
check "nothing of the stack is left" sh -c "! pgrep -af '${DSTACK_HOME%e}[e]'"
