#!/bin/bash
# KM-14: 1,000 turns of the policy to no, each while guests are between their evidence and their key.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/kms.sh"
trap 'kms_stop_all; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

kms_world
echo secret-token >"$work/token" && chmod 600 "$work/token"
kms_config "state_dir = \"$work/state\"
[core.admin]
address = \"unix:$work/admin.sock\"
token_file = \"$work/token\"" '[limits]
requests_per_s = 0
connections_per_s = 0' >"$work/kms.toml"
kms_start "$work/kms.toml" && until_true 10 grep -q ' ready address=' "$work/kms.log" || not_ok "starts"
check "evidence" kms_evidence good --instance "$inst"
python3 tests/e2e/kms/flips.py "$port" "$work/certs" "$work/good.crt" "$work/good.key" "$work/admin.sock" secret-token \
	"$work/policy.toml" "$work/state/audit.log" "$app" || not_ok "flips.py: see above"
check "the log holds" dstack kms log verify "$work/state"
