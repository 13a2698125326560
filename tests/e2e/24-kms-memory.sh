#!/bin/bash
# KM-16: after a hundred apps got their keys none of them is left in the memory of a KMS's processes; the roots lie
# locked, in one process only.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/kms.sh"
trap 'kms_stop_all; finish; [ "$failures" -eq 0 ] || exit 1' EXIT
n=100

kms_world
for ((i = 1; i < n; i++)); do
	printf '[[app]]\nid = "%040x"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' $i "$compose"
done >>"$work/policy.toml"
kms_config >"$work/kms.toml"
kms_start "$work/kms.toml" && until_true 10 grep -q ' ready address=' "$work/kms.log" || not_ok "starts"
mkdir "$work/apps"
kms_evidence "apps/$app"
for ((i = 1; i < n; i++)); do
	app=$(printf %040x $i) kms_evidence "apps/$(printf %040x $i)"
done
check "evidence of $n apps" test "$(find "$work/apps" -name '*.crt' | wc -l)" = $n
python3 tests/e2e/kms/memory.py "$kms" "$port" "$work/certs" "$work/apps" || not_ok "memory.py: see above"
