#!/bin/bash
# What a relying party can tell from a KMS's evidence (GV-08): whether the policy it decides by is a file, which whoever
# can change the file changes, or a contract. Both KMSs have their configuration in their measured compose file.
. "$(dirname "$0")/lib.sh"
guest=build/tests/tools/fakeguest
kms_app=$(printf 'ee%.0s' {1..20})
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

dstack-softtee pki --dir "$work/pki"
dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
pids+=($!)
until_true 5 grep -q port= "$work/serve.log"
pccs=http://127.0.0.1:$(sed -n 's/.*port=//p' "$work/serve.log")
$guest image --image "$work/images/one" >/dev/null
echo 'development = true' >"$work/policy.toml"
policy_file="[policy]
file = \"$work/policy.toml\""
policy_chain='[[policy.source]]
type = "ethereum"
url = "http://127.0.0.1:1"
chain_id = 1
contract = "0x0123456789abcdef0123456789abcdef01234567"'
for k in file chain; do
	mkdir -p "$work/$k"
	policy=policy_$k
	cat >"$work/$k/kms.toml" <<-TOML
		insecure_development = true
		[core]
		cert_dir = "$work/$k/certs"
		agent = "unix:$work/$k/agent.sock"
		attest_rpc_cert = true
		[rpc]
		address = "tcp:127.0.0.1:0"
		sans = ["127.0.0.1"]
		[image]
		dir = "$work/images"
		[attestation]
		pccs_url = "$pccs"
		development_root = "$work/pki/root.der"
		${!policy}
	TOML
	# The configuration is inline in the compose file, as `dstack kms deploy` writes it.
	jq -n --rawfile c "$work/$k/kms.toml" '{manifest_version: 2, name: "kms", runner: "docker-compose", docker_compose_file:
		({services: {kms: {image: "kms", configs: ["kms.toml"]}}, configs: {"kms.toml": {content: $c}}} | tojson)}' >"$work/$k/app-compose.json"
	$guest agent --image "$work/images/one" --app "$kms_app" --compose "$(sha256sum "$work/$k/app-compose.json" | cut -d' ' -f1)" \
		--pki "$work/pki" --out "unix:$work/$k/agent.sock" 2>"$work/$k/agent.log" &
	pids+=($!)
	until_true 5 test -S "$work/$k/agent.sock"
	dstack-kms -c "$work/$k/kms.toml" 2>"$work/$k/log" &
	pids+=($!)
	check "a KMS whose policy is a $k starts" until_true 10 grep -q 'listening.*port=.*tls=yes' "$work/$k/log"
done
verify() # verify KMS COMPOSE: of which KMS, and the compose file that the relying party read and approved
{
	dstack verify "https://127.0.0.1:$(sed -n 's/.*listening.* port=\([0-9]*\) tls=yes.*/\1/p' "$work/$1/log")" --compose "$work/$2/app-compose.json" \
		--image-dir "$work/images" --pccs-url "$pccs" --development-root "$work/pki/root.der" --json
}
claim() { jq -r --arg n "$1" '.claims[] | select(.name == $n) | .value'; }
for k in file chain; do verify "$k" "$k" >"$work/$k/verdict"; done
check "gv_08 the contract policy is what the evidence says" jq -e '.ok and (.claims[] | select(.name == "compose_hash") | .ok)' "$work/chain/verdict"
refused "gv_08 a KMS that decides by a file is not one that asks the contract" compose_hash.mismatch verify file chain
refused "gv_08 nor the other way round" compose_hash.mismatch verify chain file
check "gv_08 whoever compares measurements alone can tell as well" eval 'test "$(claim config_id <"$work/file/verdict")" != "$(claim config_id <"$work/chain/verdict")" &&
	test "$(claim event_log <"$work/file/verdict")" != "$(claim event_log <"$work/chain/verdict")"'
