#!/bin/bash
# OP-01: with umask 000 every secret is 0600 from its creation on. The local stack is made, an app with a sealed
# environment deployed and its VM started, with a spy in every program that looks at each file as it is created.
. "$(dirname "$0")/lib.sh"
export DSTACK_PORT_BASE=19300
scripts/image.sh >"$work/image.log" 2>&1 || { tail -n 20 "$work/image.log" && exit 1; }

printf 'services:\n  web:\n    image: docker.io/library/hello@sha256:%064d\n    environment: [SECRET]\n' 1 >"$work/compose.yaml"
printf 'SECRET=%s\n' "$(head -c 16 /dev/urandom | xxd -p)" >"$work/app.env"
export MODESPY=$work/modes
spied() { (umask 000 && LD_PRELOAD=$PWD/build/tests/tools/libmodespy.so exec "$@"); }
check "up" spied dstack up --dir "$DSTACK_HOME" --image .cache/image --port-base $DSTACK_PORT_BASE
check "deploy" spied dstack deploy "$work/compose.yaml" --name op01 --env-file "$work/app.env"
runs() { [ -s "$(vm_dir op01)/serial.log" ]; }
check "its VM starts" until_true 60 runs

seen() { grep -q "^0600 .*$1" "$work/modes" || { echo "not seen: $1" && return 1; }; }
op_01_secrets() # One of each kind was seen to be made, so the spy is everywhere.
{
	seen '/pki[^ ]*/root\.key' && seen '/kms/.*root-k256\.key' && seen '/kms/.*root-ca\.key' && seen '/gateway/.*wg\.key' &&
		seen '/gateway/.*\.key' && seen '/vmm/.*\.encrypted-env' && seen '/vmm/.*vm-manifest\.json' && seen '/config\.toml' && seen '/deployer\.key'
}
check "the programs that make secrets were watched" op_01_secrets
op_01_modes() # What others may read is public by its nature: certificates, chains, policy, logs of none.
{
	local open
	open=$(grep -v '^0[0-7]00 ' "$work/modes" | grep -vE '^0644 [^ ]*/([^/ ]*\.(crt|der|pem)|policy\.toml|bootstrap-info\.json|rpc-domain|[^/ ]*\.cbor|images/[^ ]*|registry/[^ ]*)(\.[0-9.]+\.tmp)?$')
	[ -z "$open" ] || { echo "$open" && return 1; }
}
check "OP-01: nothing but public files was ever open to others" op_01_modes
op_01_now() # And as they lie there now, whoever wrote them; of the folder above, nobody else gets in.
{
	local open
	[ "$(stat -c %a "$DSTACK_HOME")" = 700 ] || return 1
	open=$(grep -rlE 'PRIVATE KEY|SECRET=' "$DSTACK_HOME" --exclude-dir=images --exclude-dir=registry 2>/dev/null | xargs -r stat -c '%a %n' | grep -v '^[46]00 ')
	[ -z "$open" ] || { echo "$open" && return 1; }
}
check "OP-01: no file with a key is open to others" op_01_now
check "down" dstack down --dir "$DSTACK_HOME"
