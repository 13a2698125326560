#!/bin/bash
# The published JS SDK, unmodified, in a container of a real CVM (tests/e2e/cvm-npm/app.js), every method of it; its
# owner's side, with the same package, on this machine; and what it got judged by `dstack verify` and against the KMS.
. "$(dirname "$0")/lib.sh"
base=20500
npm=$work/npm
cp -r tests/e2e/cvm-npm "$npm"
cp tests/e2e/simulator-npm/package*.json "$npm/"
check "the JS SDK installs from its lock" npm ci --prefix "$npm" --no-audit --no-fund --ignore-scripts --loglevel=error
check "stack" dstack up --dir "$DSTACK_HOME" --image .cache/image --port-base $base
digest=$(PATH=$PATH tests/e2e/cvm-npm/image.sh "$npm/node_modules" "$work/image" http://127.0.0.1:$base) || not_ok "the image of node and the SDK"
cat >"$work/compose.yaml" <<Q
services:
  sdk:
    image: docker.io/dstack/sdk@$digest
    ports: ["8080:8080"]
    environment:
      SECRET: \${SECRET}
    volumes:
      - /var/run/dstack.sock:/var/run/dstack.sock
      - /var/run/tappd.sock:/var/run/tappd.sock
Q
setting() { sed -n "s/^$1 = \"\(.*\)\"/\1/p" "$DSTACK_HOME/config.toml"; }
kms=$(setting kms) root=$DSTACK_HOME/$(setting kms_root)
node "$npm/host.js" make "$kms" "$root" "$work/compose.yaml" "$work" || failures=$((failures + 1))
hash=$(cat "$work/hash")
check "the SDK's compose hash is that of the document's bytes" test "$hash" = "$(sha256sum "$work/app-compose.json" | cut -c-64)"
cat >>"$DSTACK_HOME/kms/policy.toml" <<Q

[[app]]
id = "${hash:0:40}"
compose_hashes = ["$hash"]
allow_any_device = true
Q
jq -n --rawfile c "$work/app-compose.json" --rawfile e "$work/env" --arg i "$(setting image)" \
	'{name: "sdk", image: $i, compose_file: $c, encrypted_env: $e, vcpu: 1, memory: 1536, disk_size: 2}' >"$work/vm.json"
check "the CVM is created" curl -sSf --max-time 10 --unix-socket "$DSTACK_HOME/vmm/vmm.sock" -H 'Content-Type: application/json' \
	-d "@$work/vm.json" http://vmm/prpc/CreateVm
name=${hash:0:40}-8080.dstack.localhost port=$((base + 6))
ask() { curl -sSf --max-time 20 --cacert "$DSTACK_HOME/gateway/tls/ca.pem" --resolve "$name:$port:127.0.0.1" "https://$name:$port/${1:-}"; }
if until_true 600 ask; then ask; else
	not_ok "the SDK in the CVM never came to its end"
	dstack logs sdk -n 40 | sed 's/^/  # /'
	exit
fi
failures=$((failures + $(ask | grep -c '^not ok')))

ask evidence >"$work/evidence.json"
node "$npm/host.js" judge "$kms" "$root" "$work" || failures=$((failures + 1))
trusted() { dstack verify "$@" --dir "$DSTACK_HOME" --compose "$work/app-compose.json" --kms-root "$root" --json | tee "$work/verdict" | jq -e '.ok and .anchor == "development"'; }
check "its quote verifies: the development root, the registers, the compose file, the KMS" trusted "$work/quote.json"
check "so does the one after its own event" trusted "$work/after.json"
check "the log of which has the event, and replays to RTMR3" grep -q my-event <(dstack events replay --list "$work/after.json")
check "its attestation" trusted "$work/attestation.bin"
check "its certificate" trusted "$work/leaf.pem"
refused "none of it for another app" compose_hash dstack verify "$work/quote.json" --dir "$DSTACK_HOME" --compose-hash "$(printf '%064d' 1)"
# HB-20: the app's keys, which the KMS's root keys tell, and what was sealed for it. Nothing of the host's side may hold them: console,
# events, TPM state, shared disk, data disk, logs of the runner, of the KMS and the gateway.
{
	printf 'sealed by the SDK' | xxd -p
	dstack kms derive --cert-dir "$DSTACK_HOME/kms/certs" --app-id "${hash:0:40}" --instance-id "$(dstack ls --json | jq -r '.vms[0].instance_id')" --json |
		jq -r '.disk_crypt_key, .env_crypt_key, .k256_key'
} >"$work/secrets"
check "four secrets of the app are known" test "$(grep -cE '^[0-9a-f]{34,64}$' "$work/secrets")" = 4
check "HB-20: the host holds none of them" python3 tests/e2e/canary.py "$work/secrets" "$DSTACK_HOME/vmm" "$DSTACK_HOME/log"
dstack stop sdk --force >/dev/null
