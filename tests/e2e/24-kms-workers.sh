#!/bin/bash
# RB-06: the processes of a KMS under load killed with -9: judges, key process, network process, the first one.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/kms.sh"
trap 'kms_stop_all; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

kms_world
kms_config "state_dir = \"$work/state\"" '[limits]
judge_s = 1
requests_per_s = 0
connections_per_s = 0' >"$work/kms.toml"
start() { LD_PRELOAD=$PWD/build/tests/tools/judgeshim.so kms_start "$work/kms.toml" && until_true 10 grep -q ' ready address=' "$work/kms.log"; }
check "starts" start
check "evidence" kms_evidence good --instance "$inst"
$guest csr "${who[@]}" --quote "$work/good.quote" --subject app --san app.example --v1 1 | jq -rj .vm_config >"$work/vm_config"
python3 tests/e2e/kms/workers.py "$kms" "$port" "$work/certs" "$work/good.crt" "$work/good.key" "$work/vm_config" "$work/state/audit.log" ||
	not_ok "workers.py: see above"
check "the log holds" dstack kms log verify "$work/state"
kill "$kms"
check "stops when told to" wait "$kms"

# More than ten ends in a minute: no more of it.
check "starts again" start
for _ in {1..200}; do
	kill -0 "$kms" || break
	kill -9 "$(pgrep -P "$kms" kms-net)"
	sleep 0.1
done 2>/dev/null
until_true 5 eval '! kill -0 $kms' || { not_ok "it goes on and on" && kill -9 "$kms"; }
wait "$kms"
check "a KMS whose processes end again and again ends with a failure" test $? = 1
check "and says why" grep -q kms.crash_loop "$work/kms.log"

# Without the first process there is none.
check "starts once more" start
left=$(pgrep -P "$kms")
kill -9 "$kms"
{ wait "$kms"; } 2>/dev/null
gone() { for pid in $left; do ! kill -0 "$pid" 2>/dev/null || return 1; done; }
check "kill -9 of the first process leaves no other" until_true 3 gone

# With evidence of its own: the certificate of the one before serves on, and is renewed behind that.
$guest agent --image "$work/images/one" --app "$app" --compose "$compose" --ready 1 --pki "$work/pki" --out "unix:$work/agent.sock" 2>"$work/agent.log" &
pids+=($!)
until_true 5 test -S "$work/agent.sock"
rm -rf "$work/certs" "$work/state"
kms_config "agent = \"unix:$work/agent.sock\"
attest_rpc_cert = true
enforce_self_authorization = false" >"$work/kms.toml"
check "starts with evidence of its own" start
kill -9 "$(pgrep -P "$kms" kms-net)"
until_true 5 grep -q 'RPC certificate renewed' "$work/kms.log"
check "the next network process serves before it has fresh evidence" \
	awk '/network process ended/ { ended = 1 } ended && / ready address=/ { ready = 1 } /certificate renewed/ { exit !ready }' "$work/kms.log"
check "its certificate is of the same root" curl -sS --cacert "$work/certs/root-ca.crt" "$url/health"
