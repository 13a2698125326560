#!/bin/bash
# What a CVM and its KMS must refuse, each with its stable code, in real guests; and that all else works after each.
. "$(dirname "$0")/lib.sh"
base=19500
rogue=$((base + 90)) # where a KMS with roots of its own listens
export SECRET=refusals

check "stack" dstack up --dir "$DSTACK_HOME" --image .cache/image --port-base $base
check "hello's image" examples/hello/build.sh build/hello http://127.0.0.1:$base
vmm_pid='' rogue_pid=''
finish_vmm() # `down` starts a VMM of the stack's own again, which takes the VMs over and stops them
{
	for pid in $vmm_pid $rogue_pid; do { kill "$pid" && wait "$pid"; } 2>/dev/null; done
}
trap 'finish_vmm; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

# A VMM with another configuration in place of the stack's own: sed EXPRESSION over its file.
vmm_with()
{
	kill "${vmm_pid:-$(cut -d' ' -f1 "$DSTACK_HOME/run/vmm.pid")}"
	until_true 20 sh -c "! dstack ls"
	sed "$1" "$DSTACK_HOME/vmm/vmm.toml" >"$work/vmm.toml"
	printf '[[network.forward]]\nlisten = %s\nto = "127.0.0.1:%s"\n' $rogue $rogue >>"$work/vmm.toml"
	setsid dstack-vmm -c "$work/vmm.toml" >>"$DSTACK_HOME/log/vmm.log" 2>&1 </dev/null &
	vmm_pid=$!
	until_true 20 dstack ls
}
no_restart='s/^platform = .*/&\nauto_restart.enabled = false/'
compose() # compose NAME: hello's compose file with another identity
{
	mkdir -p "$work/$1"
	cp build/hello/compose.yaml "$work/$1/compose.yaml"
	echo "# $1" >>"$work/$1/compose.yaml"
	echo "$work/$1/compose.yaml"
}
deploy() { dstack deploy "$@" -e SECRET --wait; }
why() # why NAME CODE: `ls` shows the code for that VM
{
	dstack ls | grep "^$1 " | grep -qF "$2"
}

vmm_with "$no_restart"
check "good: an allowed app boots" deploy "$(compose good)" --name good

released() { grep -c 'keys released' "$DSTACK_HOME/log/kms.log"; }
keys=$(released)
refused "root image with one byte changed" guest.verity sh -c '
	image=$(ls -d "$0"/images/dstack-*) && cp -a "$image" "$0/images/flipped" &&
	printf "\377" | dd of="$0/images/flipped/rootfs.img.parted.verity" bs=1 seek=$((1048576 + 1024 + 4)) conv=notrunc status=none &&
	dstack deploy "$1" --name flipped --image flipped -e SECRET --wait' "$DSTACK_HOME" "$(compose flipped)"
check "ls shows why" why flipped guest.verity
check "no key for it" test "$(released)" = "$keys"
dstack rm flipped --force >/dev/null
rm -rf "$DSTACK_HOME/images/flipped"

cat >"$work/qemu" <<'Q'
#!/bin/bash
# A host that adds to the measured command line.
args=() before=
for a; do
	[ "$before" != -append ] || a="$a host.was=here"
	args+=("$a")
	before=$a
done
exec qemu-system-x86_64 "${args[@]}"
Q
chmod +x "$work/qemu"
vmm_with "$no_restart; s|^platform = .*|&\nqemu_path = \"$work/qemu\"|"
refused "changed kernel command line" measure.rtmr2 deploy "$(compose cmdline)" --name cmdline
check "ls shows why" why cmdline measure.rtmr2
dstack rm cmdline --force >/dev/null
vmm_with "$no_restart"

keys=$(released)
refused "app not on the allow-list" policy.app_not_allowed deploy "$(compose stranger)" --name stranger --no-allow
dstack rm stranger --force >/dev/null

check "edited: deploys" dstack deploy "$(compose edited)" --name edited -e SECRET --no-start
sed -i 's/# edited/# edited by the host/' "$(vm_dir edited)/shared/app-compose.json"
refused "compose file edited by the host" policy.compose_not_allowed dstack start edited --wait
dstack rm edited --force >/dev/null

check "large: deploys" dstack deploy "$(compose large)" --name large -e SECRET --no-start
head -c 20000 /dev/zero | tr '\0' ' ' >>"$(vm_dir large)/shared/.instance_info"
refused "shared file too large" share.too_large dstack start large --wait
dstack rm large --force >/dev/null

check "link: deploys" dstack deploy "$(compose link)" --name link -e SECRET --no-start
mv "$(vm_dir link)/shared/app-compose.json" "$work/app-compose.json"
ln -s "$work/app-compose.json" "$(vm_dir link)/shared/app-compose.json"
refused "shared file is a link" share.not_regular dstack start link --wait
dstack rm link --force >/dev/null

check "no key for any of these" test "$(released)" = "$keys"

# The environment: what a container gets of it, byte by byte, and whose and which it is.
mkdir -p "$work/env" "$work/env-image"
check "a container that tells its variables" gcc -O1 -Wall -static -o "$work/env-image/envdump" tests/tools/envdump.c
digest=$(scripts/oci.sh "$work/env-image" "$work/env-oci" '{"Entrypoint":["/envdump"]}' "http://127.0.0.1:$base" dstack/envdump) || not_ok "the image of envdump"
declare -A values=(
	[BACKSLASH]='a\b\\c\n\' [NEWLINE]=$'one\ntwo=2\r\n\n' [QUOTES]="it's \"so\"" [DOLLAR]='$(reboot) ${AFTER} $AFTER $$ `reboot`' [EMPTY]=''
	[YAML]=$'- {a: [b]} # c: &d\t!' [UTF8]=é€😀 [CONTROL]=$'\001\033[2J\177' [LONG]="$(head -c 75000 /dev/urandom | base64 -w 0)"
	[AFTER]='a neighbour' [key]='a name that the guest uses itself' [value]=another [runner]=bash)
given=() old=()
{
	printf 'services:\n  env:\n    image: docker.io/dstack/envdump@%s\n    environment:\n' "$digest"
	for name in "${!values[@]}"; do printf '      T_%s: ${%s}\n' "$name" "$name"; done
} >"$work/env/compose.yaml"
for name in "${!values[@]}"; do given+=(-e "$name=${values[$name]}") old+=(-e "$name=old"); done
check "an app with variables" dstack deploy "$work/env/compose.yaml" --name env "${old[@]}" --no-start
shared=$(vm_dir env)/shared
cp "$shared/.encrypted-env" "$work/older"
(umask 077 && head -c 32 /dev/urandom | xxd -p -c 64 >"$work/other.key")
refused "HB-08: others by another signer" env.signer dstack env env "${given[@]}" --env-signer "$work/other.key"
refused "a name that is not the app's" cli.env_not_allowed dstack env env -e OTHER=1
check "others, of all kinds" dstack env env "${given[@]}"
cp "$shared/.encrypted-env" "$work/newer"
check "HB-10: it starts with these" dstack start env --wait
told() { dstack logs env -n 100 | tr -d '\r' | grep -qx 'env end'; }
until_true 60 told || not_ok "its container never told its environment"
dstack logs env -n 200 | tr -d '\r' >"$work/env.log"
for name in "${!values[@]}"; do
	[ "$name" != LONG ] || continue
	check "HB-10: $name arrives byte for byte" grep -qx "env T_$name $(printf %s "${values[$name]}" | xxd -p | tr -d '\n')" "$work/env.log"
done
fnv() { python3 -c 'import sys
h = 0xcbf29ce484222325
for c in sys.stdin.buffer.read(): h = (h ^ c) * 0x100000001b3 % 2**64
print("%016x" % h)'; }
check "HB-10: 100 KB do" grep -qx "env T_LONG 100000:$(printf %s "${values[LONG]}" | fnv)" "$work/env.log"
refused "HB-10: 1 MB is refused" env.too_large dstack deploy "$work/env/compose.yaml" --name megabyte \
	--env-file <(printf 'BIG=' && head -c 1000000 /dev/zero | tr '\0' x) --no-start

dstack stop env --force >/dev/null
cp "$work/older" "$shared/.encrypted-env"
refused "HB-12: the older environment put back by the host" env.replayed dstack start env --wait
keys=$(released)
tail -c +121 "$work/newer" >"$shared/.encrypted-env"
refused "HB-08: an anonymous box in place of the signed one" env.unsigned dstack start env --wait
check "HB-08: no key for it" test "$(released)" = "$keys"
dstack rm env --force >/dev/null
check "cut: deploys, unsigned" dstack deploy "$(compose cut)" --name cut -e SECRET --env-signer none --no-start
found() { grep -qF "[$2]" <(dstack lint "$DSTACK_HOME/apps/$1.json"); }
check "HB-08: dstack lint says that anybody may send it its environment" found cut lint.env_unsigned
check "HB-08: not so of the signed one" sh -c "! dstack lint '$DSTACK_HOME/apps/env.json' | grep -F env_unsigned"
truncate -s -1 "$(vm_dir cut)/shared/.encrypted-env"
refused "HB-09: an environment that does not open" env.decrypt dstack start cut --wait
dstack rm cut --force >/dev/null

# What follows is made by hand: the command offers no init scripts, pins or URLs.
by_hand() # by_hand NAME FILTER VM: a stopped VM of good's app-compose.json through jq's FILTER, in the policy file
{
	jq -c "del(.requirements) | .name = \"$1\" | $2" "$DSTACK_HOME/apps/good.json" | tr -d '\n' >"$work/$1.json"
	local hash
	hash=$(sha256sum "$work/$1.json" | cut -c1-64)
	printf '\n[[app]]\nid = "%s"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' "${hash:0:40}" "$hash" >>"$DSTACK_HOME/kms/policy.toml"
	jq -n --rawfile c "$work/$1.json" --arg n "$1" --arg i "$(sed -n 's/^image = "\(.*\)"/\1/p' "$DSTACK_HOME/config.toml")" \
		"{name: \$n, image: \$i, compose_file: \$c, vcpu: 1, memory: 1024, disk_size: 1, stopped: true} | $3" >"$work/vm.json"
	curl -sSf --max-time 10 --unix-socket "$DSTACK_HOME/vmm/vmm.sock" -H 'Content-Type: application/json' -d "@$work/vm.json" http://vmm/prpc/CreateVm
}
root_of() { openssl x509 -in "$1/root-ca.crt" -noout -pubkey | openssl pkey -pubin -outform DER | xxd -p | tr -d '\n'; }
sed "s|$DSTACK_HOME/kms/certs|$work/rogue|; s|127.0.0.1:$((base + 2))\"|127.0.0.1:$rogue\"|" "$DSTACK_HOME/kms/kms.toml" >"$work/rogue.toml"
dstack-kms -c "$work/rogue.toml" 2>"$work/rogue.log" &
rogue_pid=$!
check "a KMS of the host's own, which allows the same apps" until_true 20 grep -q 'listening.*port=' "$work/rogue.log"
asked_rogue() { grep -cE 'keys released|no keys for' "$work/rogue.log"; }

# An app whose own gate says no, after it had its keys from the KMS that it pins: behind one that is dead and the rogue.
check "gate: a pinned app with init scripts" by_hand gate ".key_provider_id = \"$(root_of "$DSTACK_HOME/kms/certs")\" | .manifest_version = \"3\" |
	.init_script = [\"gate=passed\", \"echo gate one: \$gate >/dev/console\", \"false\"]" \
	".kms_urls = [\"https://10.0.2.2:1\", \"https://10.0.2.2:$rogue\", \"https://10.0.2.2:$((base + 2))\"]"
refused "an init script that fails" app.init_script dstack start gate --wait
check "those before it ran, in one shell" sh -c "dstack logs gate | grep -q 'gate one: passed'"
check "hb_05 the rogue KMS was turned away by the pin, the dead one cost nothing" sh -c \
	"dstack logs gate | grep -q 'KMS https://10.0.2.2:$rogue: .*code=binding.key_provider' && dstack logs gate | grep -q 'keys from KMS https://10.0.2.2:$((base + 2))'"
dstack rm gate --force >/dev/null
keys=$(released)
check "pinned: an app that pins another KMS" by_hand pinned ".key_provider_id = \"$(root_of "$work/rogue")\"" .
refused "hb_05 pinned to another KMS" binding.key_provider dstack start pinned --wait
dstack rm pinned --force >/dev/null
check "enclave: an app that pins another machine's sealing enclave" by_hand enclave \
	".key_provider = \"local\" | .kms_enabled = false | .gateway_enabled = false | .key_provider_id = \"$(printf '0%.0s' {1..64})\"" .
refused "hb_14 another sealing enclave" binding.key_provider dstack start enclave --wait
dstack rm enclave --force >/dev/null
check "borrowed: an app of its own" by_hand borrowed . .
printf '{"app_id":"%s","instance_id":"%s"}' "$(vm_field good app_id)" "$(vm_field good instance_id)" >"$(vm_dir borrowed)/shared/.instance_info"
refused "hb_13 instance-info with another app's id" policy.compose_not_allowed dstack start borrowed --wait
dstack rm borrowed --force >/dev/null
check "no key for any of these" test "$(released)" = "$keys"
check "and none was asked of the rogue" test "$(asked_rogue)" = 0

cp "$DSTACK_HOME/kms/policy.toml" "$work/policy.toml"
: >"$DSTACK_HOME/kms/policy.toml"
check "stop good" dstack stop good
refused "empty allow-list" policy.empty dstack start good --wait
cp "$work/policy.toml" "$DSTACK_HOME/kms/policy.toml"

check "second: an app with a disk of its own" deploy "$(compose second)" --name second
check "stop second" dstack stop second
dstack stop good >/dev/null 2>&1
good=$(vm_dir good) second=$(vm_dir second)
mv "$good/hda.img" "$work/a" && mv "$second/hda.img" "$good/hda.img" && mv "$work/a" "$second/hda.img"
refused "two VMs' disks swapped" disk.key dstack start good --wait
mv "$good/hda.img" "$work/a" && mv "$second/hda.img" "$good/hda.img" && mv "$work/a" "$second/hda.img"

# A host that knows the format: the null cipher in both header copies, their checksums made to hold again.
head -c 32768 "$good/hda.img" >"$work/header"
python3 - "$good/hda.img" <<'P'
import hashlib, sys
with open(sys.argv[1], "r+b") as disk:
    area = bytearray(disk.read(32768))
    for at in 0, 16384:
        text = bytes(area[at + 4096:at + 16384]).rstrip(b"\0")
        to = text.replace(b'"aes-xts-plain64","sector_size"', b'"cipher_null-ecb","sector_size"')
        assert to != text
        area[at + 4096:at + 16384] = to.ljust(12288, b"\0")
        area[at + 448:at + 512] = bytes(64)
        area[at + 448:at + 480] = hashlib.sha256(area[at:at + 16384]).digest()
    disk.seek(0)
    disk.write(area)
P
refused "encryption header with the null cipher" disk.header dstack start good --wait
dd if="$work/header" of="$good/hda.img" conv=notrunc status=none

check "after all that, good boots with its own disk" dstack start good --wait
app=$(vm_field good app_id) port=$((base + 6))
ask() { curl -sSf --max-time 20 --cacert "$DSTACK_HOME/gateway/tls/ca.pem" --resolve "$1.dstack.localhost:$port:127.0.0.1" "https://$1.dstack.localhost:$port/"; }
check "and answers" until_true 120 ask "$app-8080"
check "and verifies" dstack verify "https://$app-8443s.dstack.localhost:$port/" --compose "$DSTACK_HOME/apps/good.json"
refused "hb_05 not as an app with the rogue KMS's keys" key_provider.mismatch dstack verify "https://$app-8443s.dstack.localhost:$port/" \
	--compose "$DSTACK_HOME/apps/good.json" --kms-root "$work/rogue/root-ca.crt" --json
refused "unknown name" "unrecognized name" ask "0000000000000000000000000000000000000000-8080"

# Epochs: the disk is opened with the old key and gets the new one; data and environment stay.
state=$DSTACK_HOME/kms/certs.state kms=https://10.0.2.2:$((base + 2))
hello() { ask "$app-8080" >"$work/hello"; }
visits() { sed -n 's/^visits: //p' "$work/hello"; }
data() # data TEXT: hello answers, has its data and its environment
{
	check "it answers" until_true 120 hello
	check "$1: $before visits, then $(visits)" test "$(visits)" -gt "$before"
	check "and its environment" grep -qF "secret_sha256: $(printf %s "$SECRET" | sha256sum | cut -d' ' -f1)" "$work/hello"
	before=$(visits)
}
hello
before=$(visits)
check "epoch 1 of its keys, beside epoch 0" dstack kms rotate --app-id "$app" --overlap 30d --move-legacy --state "$state"
check "stop" dstack stop good
vmm_with "$no_restart; s|^gateway_urls = \\[|&\"$kms\", |" # named first, a server under the KMS's root that is no gateway
check "start" dstack start good --wait
check "ch_08 it was refused in the handshake, the other one taken" sh -c "dstack logs good -n 2000 | grep -q 'gateway $kms.*code=gateway.app_id'"
check "the KMS gave both epochs, the disk took the new key" sh -c "dstack logs good -n 2000 | grep -q 'keys of epoch 1 and 1 before it' && dstack logs good -n 2000 | grep -q 'changed to the current one'"
data "data of epoch 0, the environment sealed to it"
check "the environment is sealed anew" dstack env good -e SECRET
check "epoch 0 ends" dstack kms revoke epoch 0 --app-id "$app" --state "$state"
check "stop" dstack stop good
check "start" dstack start good --wait
check "epoch 1 alone opens the disk" sh -c "dstack logs good -n 2000 | grep -q 'keys of epoch 1 and 0 before it'"
data "the same data"
