#!/bin/bash
# From a clone to attested HTTPS: build, guest image, local stack, examples/hello, one question through the gateway,
# `dstack verify` of what answered. Exit 0 only if the answer came and every claim that can hold here holds.
# Harmless to run again: what is built, running or deployed stays.
#   KMS=cvm    the KMS runs in a CVM of its own as well, and `dstack verify` verifies it with the app
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export DSTACK_HOME=${DSTACK_HOME:-$PWD/.dstack} # another folder and DSTACK_PORT_BASE give a second stack
home=$DSTACK_HOME
dstack=build/bin/dstack
log=$home/log/run.log
mkdir -p "$home/log"
chmod 700 "$home"
: >"$log"
began=$SECONDS

stage() # stage TEXT COMMAND…: live line on a terminal, one line in a pipe; the command's output goes to the log
{
	local text=$1 from=$SECONDS status
	shift
	printf '\n== %s\n' "$text" >>"$log"
	if [ -t 2 ]; then
		"$@" >>"$log" 2>&1 &
		local pid=$!
		while kill -0 $pid 2>/dev/null; do
			printf '\r\033[K  %-52s %4d s' "$text" $((SECONDS - from)) >&2
			sleep 0.3
		done
		wait $pid
		status=$?
		printf '\r\033[K' >&2
	else
		"$@" >>"$log" 2>&1
		status=$?
	fi
	if [ $status -eq 0 ]; then
		printf '✓ %-52s %4d s\n' "$text" $((SECONDS - from)) >&2
		return 0
	fi
	printf '✗ %-52s %4d s\n' "$text" $((SECONDS - from)) >&2
	tail -n 30 "$log" >&2
	echo "the whole log: $log" >&2
	exit 1
}

stage "build" scripts/build.sh build
stage "guest image (first time: packages of Debian 13)" scripts/image.sh
grep -h '^os: lock' "$log" >&2 || true
up=("$dstack" up --dir "$home" --image .cache/image --port-base "${DSTACK_PORT_BASE:-17500}" ${KMS:+--kms "$KMS"})
stage "local stack: PKI, registry, KMS, gateway, VMM" "${up[@]}"
registry=$(sed -n 's/^registry = "\(.*\)"/\1/p' "$home/config.toml")
if grep -q '^kms_app' "$home/config.toml"; then
	if cat "$home"/kms*/compose.yaml >/dev/null 2>&1; then # another image would be another KMS: dstack kms upgrade
		$dstack kms deploy || exit
	else
		stage "the KMS's image" sh -c 'kms/image/build.sh build/kms-image "$1" >"$2"' - "$registry" "$home/kms/image.txt"
		$dstack kms deploy --image "$(cat "$home/kms/image.txt")" || exit
	fi
	stage "gateway" "${up[@]}"
fi
stage "hello's image" examples/hello/build.sh build/hello "$registry"

secret_file=$home/hello.env
[ -s "$secret_file" ] || (umask 077 && echo "SECRET=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')" >"$secret_file")
$dstack deploy build/hello/compose.yaml --name hello --env-file "$secret_file" --wait --if-absent --replace || exit

app=$($dstack ls --json | jq -r '.vms[] | select(.name == "hello") | .app_id' | head -n 1)
domain=$(sed -n 's/^domain = "\(.*\)"/\1/p' "$home/config.toml")
port=$(sed -n 's/^gateway_port = \(.*\)/\1/p' "$home/config.toml")
plain=https://$app-8080.$domain:$port/
attested=https://$app-8443s.$domain:$port/
ask() { curl -sSf --max-time 20 --cacert "$home"/gateway/tls/ca.pem --resolve "$app-8080.$domain:$port:127.0.0.1" "$plain"; }
answers() # its containers have started; the app itself may still be asking the agent for its certificate
{
	local end=$((SECONDS + 120))
	until ask; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.5
	done
}
stage "hello answers" answers
answer=$(ask)
status=$?
printf '\n  app, TLS ends in the gateway     %s\n  app, TLS ends inside the CVM     %s\n\n%s\n\n' "$plain" "$attested" "$answer"
expected=$(cut -d= -f2 "$secret_file" | tr -d '\n' | sha256sum | cut -d' ' -f1)
if [ $status -ne 0 ] || ! grep -q "secret_sha256: $expected" <<<"$answer"; then
	echo "the app did not answer with the hash of its secret" >&2
	exit 1
fi
$dstack verify "$attested" --compose "$home/apps/hello.json" || exit
printf '\nready after %d s. Next: %s ls | logs hello -f | deploy FILE -e KEY=VALUE; make down stops it all.\n' \
	$((SECONDS - began)) "$dstack"
