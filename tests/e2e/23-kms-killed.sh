#!/bin/bash
# A KMS killed with -9, all its processes at once, before and in the middle of every call that changes a file or
# sends a byte: no key is ever out without its record, no acknowledged change is lost, and it always starts again.
. "$(dirname "$0")/lib.sh"
. tests/e2e/kms.sh
trap 'kms_stop_all; finish; [ "$failures" -eq 0 ] || exit 1' EXIT
kms_world
kms_config "$kms_admin" '' "cache_dir = \"$work/cache\"" >"$work/kms.toml"

control() # control ARMED STEP HALF: what kills the next KMS
{
	printf "\\x$(printf %02x "$1")\0\0\0\0\0\0\0\\x$(printf %02x "$2")\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\\x$(printf %02x "$3")\0\0\0\0\0\0\0" >"$work/fault"
}
arm() { printf '\x01' | dd of="$work/fault" conv=notrunc status=none; }
died() { [ "$(od -An -tu8 -j24 -N8 "$work/fault" | tr -d ' ')" = 1 ]; }
start() # start [ENV…]: waits until it listens, or is dead
{
	local i
	rm -f "$work/admin.sock"
	: >"$work/kms.log"
	env "$@" dstack-kms -c "$work/kms.toml" 2>"$work/kms.log" &
	kms=$!
	pids=("${pids[0]}" "$kms")
	for ((i = 0; i < 500; i++)); do
		grep -q ' ready address=' "$work/kms.log" && break
		kill -0 $kms 2>/dev/null || return 1
		sleep 0.02
	done
	url=https://127.0.0.1:$(sed -n 's/.*listening.*address=tcp.* port=\([0-9]*\).*/\1/p' "$work/kms.log")
}
gone() # and its key process, too: the log is free
{
	kill -9 "$kms" 2>/dev/null
	{ wait "$kms"; } 2>/dev/null
	flock "$work/state/audit.log" true
}
keys() { curl -sS -m 10 --cacert "$work/certs/root-ca.crt" --cert "$work/good.crt" --key "$work/good.key" "$url/prpc/GetAppKey?json" -d '{}'; }
released() { grep -c '"event":"key-release","ok":true' "$work/state/audit.log"; }
denied() { grep -c '"event":"key-release","ok":false' "$work/state/audit.log"; }
admin=(--admin "unix:$work/admin.sock:" --token-file "$work/token")
preload=(LD_PRELOAD="$PWD/build/tests/tools/faultshim.so" FAULT_FILE="$work/fault")

# Before anything is armed: keys, evidence, one release.
check "starts" start
kms_evidence good --instance "$inst"
check "gives keys" eval 'keys | jq -e .disk_crypt_key'
gone
mv "$work/policy.toml" "$work/allow.toml"

# What each round asks, and what must hold then. `given` counts answers that got out.
given=1 refusals=0
round_release() { keys >"$work/answer" 2>&1; grep -q disk_crypt_key "$work/answer" && given=$((given + 1)); }
round_denial() { keys >"$work/answer" 2>&1; grep -q '"policy\.' "$work/answer" && refusals=$((refusals + 1)); }
round_revoke()
{
	device=$(printf '%064x' $((++revoked)))
	acknowledged=
	dstack kms revoke device "$device" "${admin[@]}" >/dev/null 2>&1 && acknowledged=yes
}
promise_release() { [ "$(released)" -ge "$given" ]; }
promise_denial() { [ "$(denied)" -ge "$refusals" ]; }
promise_revoke() { [ -z "$acknowledged" ] || grep -q "$device" "$work/state/keypolicy.json"; }
revoked=0 acknowledged='' device=''

rounds() # rounds NAME WHEN LEAST: kills at step 1, 2, … until a round survives. WHEN ready: armed when it listens; start: from its first call
{
	local name=$1 when=$2 half n steps=0 broken=0
	for half in 0 1; do
		for ((n = 1; n < 120; n++)); do
			control $([ "$when" = start ] && echo 1 || echo 0) $n $half
			if start "${preload[@]}"; then
				[ "$when" = start ] || arm
				"round_$name" || true
			fi
			died || { kill -0 "$kms" || not_ok "$name: step $n half $half: it ended by itself: $(tail -n 1 "$work/kms.log")"; [ -z "${DEBUG:-}" ] || echo "# survived: $(od -An -tu8 -N40 "$work/fault" | tr -s " \n" " ")"; gone; break; }
			gone
			steps=$((steps + 1))
			"promise_$name" || { broken=$((broken + 1)) && not_ok "$name: step $n half $half broke the promise"; }
		done
	done
	check "$name, killed at $steps steps ($when): every promise held" test $broken -eq 0
	check "$name: there were such steps" test $steps -ge $3
	check "$name: it starts again" start
	check "$name: the log holds" dstack kms log verify "$work/state"
	gone
}
cp "$work/allow.toml" "$work/policy.toml"
rounds release ready 14
rounds revoke ready 20
rm "$work/policy.toml"
rounds denial ready 10
cp "$work/allow.toml" "$work/policy.toml"
rounds release start 34
check "starts and gives keys" eval 'start && keys | jq -e .disk_crypt_key'
