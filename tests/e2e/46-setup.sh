#!/bin/bash
# dstack-setup as a program, on a fake TDX tree and with a KMS that only counts who comes: what it refuses before it asks
# anybody for a key. Real guests are in 60-refusals.sh.
. "$(dirname "$0")/lib.sh"
tool=$PWD/build/tests/tools/faketdx port=19790 pids=()
trap 'kill "${pids[@]}" 2>/dev/null; finish; [ "$failures" -eq 0 ] || exit 1' EXIT
export DCAP_TDX_QUOTE_CONFIGFS_PATH=$work/tsm DCAP_TDX_RTMR_SYSFS_PATH=$work/tsm
export DSTACK_CCEL_FILE=$PWD/tests/evidence/real/dstack/cc-eventlog/ccel.bin DSTACK_RUNTIME_LOG_DIR=$work/run
mkdir -p "$work/run" "$work/share"
dstack-softtee pki --dir "$work/pki"
"$tool" --tree "$work/tsm" --pki "$work/pki" --ccel "$DSTACK_CCEL_FILE" serve >"$work/tsm.log" 2>&1 &
pids+=($!)
until_true 5 grep -q ready "$work/tsm.log" || not_ok "the fake TDX tree is not ready"
socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork" SYSTEM:"echo asked >>'$work/asked'" &
pids+=($!)
until_true 5 socat -u OPEN:/dev/null "TCP:127.0.0.1:$port" && until_true 5 test -s "$work/asked"

cat >"$work/sign.py" <<'P'
# sign.py SEED-HEX APP-HEX VERSION BOX OUT: the envelope of docs/formats/sealed-env.md, made with openssl's command
import hashlib, struct, subprocess, sys, tempfile
seed, app, box = bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2]), open(sys.argv[4], "rb").read()
with tempfile.TemporaryDirectory() as d:
    open(d + "/k", "wb").write(bytes.fromhex("302e020100300506032b657004220420") + seed)
    openssl = lambda *a: subprocess.run(["openssl", *a], check=True, capture_output=True).stdout
    pub = openssl("pkey", "-inform", "DER", "-in", d + "/k", "-pubout", "-outform", "DER")[-32:]
    tag, version = b"dstack-env-v1".ljust(16, b"\0"), struct.pack(">Q", int(sys.argv[3]))
    open(d + "/m", "wb").write(tag + app + version + pub + hashlib.sha256(box).digest())
    sig = openssl("pkeyutl", "-sign", "-inkey", d + "/k", "-keyform", "DER", "-rawin", "-in", d + "/m")
open(sys.argv[5], "wb").write(tag + version + pub + sig + box)
print(pub.hex())
P
seed=$(printf '01%.0s' {1..32}) stranger=$(printf '02%.0s' {1..32}) zeros=$(printf '00%.0s' {1..20})
head -c 100 /dev/urandom >"$work/box"
sign() { python3 "$work/sign.py" "$1" "$2" "$3" "$work/box" "$work/share/.encrypted-env"; }
key=$(sign "$seed" "$zeros" 1)
printf '{"kms_urls":["https://127.0.0.1:%d"],"host_api_url":"http://127.0.0.1:9/api","vm_config":"{}"}' $port >"$work/share/.sys-config.json"
compose() # compose MEMBERS: an app that wants its keys from the KMS
{
	printf '{"manifest_version":"3","name":"x","runner":"docker-compose","docker_compose_file":"","kms_enabled":true,"secure_time":false%s}' "$1" \
		>"$work/share/app-compose.json"
	app=$(sha256sum <"$work/share/app-compose.json" | cut -c-40)
}
setup()
{
	rm -rf "$work/w" "$work/asked"
	timeout 60 dstack-setup --work-dir "$work/w" --mount-point "$work/m" --share-dir "$work/share"
}
early() # early TEXT CODE: refused, nobody was asked, and no environment is there
{
	refused "$1" "code=$2" setup
	check "nobody was asked for a key, no environment was made" sh -c "test ! -e '$work/asked' && ! ls '$work/w/.host-shared' -A | grep -E 'decrypted|appkeys'"
}

compose ",\"allowed_envs\":[\"A\"],\"requirements\":{\"env_signers\":[\"$key\"]}"
cp "$work/box" "$work/share/.encrypted-env"
early "HB-08: a stranger's anonymous box" env.unsigned
sign "$stranger" "$app" 1 >/dev/null
early "HB-08: another signer" env.signer
sign "$seed" "$zeros" 1 >/dev/null
early "HB-08: the deployer's, made for another app" env.signature
sign "$seed" "$app" 1 >/dev/null
printf '\377' | dd of="$work/share/.encrypted-env" bs=1 seek=150 conv=notrunc status=none
early "HB-08: the deployer's, one byte of the box changed" env.signature
rm "$work/share/.encrypted-env"
early "HB-08: the deployer's, left out" env.missing
sign "$seed" "$app" 1 >/dev/null
truncate -s 150 "$work/share/.encrypted-env"
early "HB-09: cut short" env.envelope
: >"$work/share/.encrypted-env"
early "HB-09: empty" env.empty
compose ',"allowed_envs":["A"]'
early "HB-09: empty, of an app without signers" env.empty
rm "$work/share/.encrypted-env"
token=$(printf '0123456789abcdef%.0s' 1 2)
compose ",\"requirements\":{\"launch_token_hash\":\"$(printf 'dstack-launch-token/v1:%s' "$token" | sha256sum | cut -c-64)\"}"
early "HB-08: no launch token" compose.launch_token
printf '{"dstack":{"launch_token":"%s"}}' "${token}0" >"$work/share/.user-config"
early "HB-08: another launch token" compose.launch_token
for name in LD_PRELOAD PATH BASH_ENV DOCKER_HOST COMPOSE_FILE IFS ENV PYTHONPATH; do
	compose ",\"allowed_envs\":[\"FINE\",\"$name\"]"
	early "HB-11: allowed_envs with $name" compose.allowed_envs
	lint() { grep -F "\"$name\"" <(dstack lint "$work/share/app-compose.json") | grep -F '[lint.env_steers]'; }
	check "HB-11: dstack lint flags it" lint
done

# The start script's own part: from the file to its environment, names that it uses itself among them; all of it or nothing.
sed -n '/^load_env()/,/^}/p' os/rootfs/usr/lib/dstack/app-start >"$work/load_env"
mkdir -p "$work/app/.host-shared"
loaded() # loaded NAME: what a program started after load_env has of it, in hex
{
	env -i -C "$work/app" PATH="$PATH" WANT="$1" bash -c '. "$0" && load_env && exec python3 -c "import os; print(os.environb[os.environb[b\"WANT\"]].hex())"' "$work/load_env"
}
jq -n '{key: "k\\", value: "v\n\n", left: "$(false)", name: "\u0001\"é`", none: ""}' >"$work/app/.host-shared/.decrypted-env.json"
exact() { [ "$(loaded "$1")" = "$(printf "$2" | xxd -p)" ]; }
check "HB-10: the start script keeps a backslash, under a name of its own" exact key 'k\\'
check "HB-10: newlines at the end" exact value 'v\n\n'
check "HB-10: what a shell would run" exact left '$(false)'
check "HB-10: a control character, a quote, UTF-8" exact name '\001"é`'
check "HB-10: nothing" exact none ''
jq -n '{a: "1", b: 2}' >"$work/app/.host-shared/.decrypted-env.json"
check "HB-10: half an environment is none" sh -c "! env -i -C '$work/app' PATH='$PATH' bash -c '. \"\$0\" && load_env' '$work/load_env'"

# The same tree, with what is right: then somebody is asked.
printf '{"dstack":{"launch_token":"%s"}}' "$token" >"$work/share/.user-config"
compose ",\"allowed_envs\":[\"A\"],\"requirements\":{\"env_signers\":[\"$key\"],\"launch_token_hash\":\"$(printf 'dstack-launch-token/v1:%s' "$token" | sha256sum | cut -c-64)\"}"
sign "$seed" "$app" 1 >/dev/null
refused "signed by the deployer for this app, with its token: the KMS is asked" "KMS https://127.0.0.1:$port" setup
check "so it was" test -s "$work/asked"
