#!/bin/bash
# The VMM by itself: the daemon's API, runners that outlive it, how VMs end, what is refused. QEMU is played by
# build/tests/unit/vmm/fake-qemu, which is a guest on our vsock back end; TPM and software TEE are the real ones.
. "$(dirname "$0")/lib.sh"
fake=$PWD/build/tests/unit/vmm/fake-qemu
firmware=${FIRMWARE:-$PWD/.cache/image/ovmf.fd}
sock=$work/vmm.sock
daemon=

make_image() # make_image NAME CMDLINE
{
	mkdir -p "$work/images/$1"
	(cd "$work/images/$1" && cp "$firmware" ovmf.fd && echo kernel >bzImage && echo initrd >ir &&
		printf '{"bios":"ovmf.fd","kernel":"bzImage","initrd":"ir","cmdline":"%s","version":"0.1.0"}' "$2" >metadata.json &&
		sha256sum ovmf.fd bzImage ir metadata.json >sha256sum.txt && sha256sum sha256sum.txt | cut -c1-64 >digest.txt)
}
start_daemon()
{
	dstack-vmm -c "$work/vmm.toml" 2>>"$work/vmm.log" &
	daemon=$!
	until_true 10 rpc Version
}
kill_daemon()
{
	kill -9 "$daemon"
	wait "$daemon" 2>/dev/null
}
rpc() # rpc METHOD [JSON]: the answer; fails on an error, which is printed
{
	curl -s --fail-with-body -m 20 --unix-socket "$sock" -X POST "http://vmm/prpc/$1?json" -d "${2:-}"
}
create() # create NAME IMAGE [MORE JSON MEMBERS]: prints the id
{
	rpc CreateVm "{\"name\":\"$1\",\"image\":\"$2\",\"compose_file\":\"{}\",\"vcpu\":1,\"memory\":256,\"disk_size\":1${3:+,$3}}" |
		jq -re .id
}
field() { rpc GetInfo "{\"id\":\"$1\"}" | jq -r ".info.$2"; } # field ID NAME
is() { [ "$(field "$1" "$2")" = "$3" ]; }                     # is ID FIELD VALUE
has() { field "$1" "$2" | grep -qF -- "$3"; }                 # has ID FIELD TEXT
gone() { ! kill -0 "$1" 2>/dev/null; }
runner_of() { cut -d' ' -f1 "$work/vm/$1/runner.lock"; }
qemu_of() { jq .qemu "$work/vm/$1/vm-runtime.json"; }
wait_for() # wait_for TEXT SECONDS COMMAND…
{
	local text=$1 limit=$2
	shift 2
	check "$text" until_true "$limit" "$@"
}
clean_up()
{
	local vm
	for vm in "$work"/vm/*/; do
		[ ! -f "$vm/runner.lock" ] || kill -9 "$(cut -d' ' -f1 "$vm/runner.lock")" 2>/dev/null
	done
	[ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null
	[ -z "${service:-}" ] || kill "$service" 2>/dev/null
	[ "$failures" -eq 0 ] || tail -n 20 "$work/vmm.log" | sed 's/^/# /'
	finish
}
trap 'clean_up; [ "$failures" -eq 0 ] || exit 1' EXIT

[ -f "$firmware" ] || scripts/image.sh >&2 || { not_ok "the guest image is there"; exit 1; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
forwarded=$(free_port) other=$(free_port) tcp=$(free_port)
# Two services on the host's loopback; guests are to reach one of them, as their port 9001.
python3 - "$forwarded" "$other" <<'PY' &
import socket, sys, select
doors = []
for port in sys.argv[1:]:
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", int(port))); s.listen(); doors.append(s)
while True:
    for s in select.select(doors, [], [])[0]:
        c, _ = s.accept(); c.sendall(b"welcome"); c.close()
PY
service=$!
for behaviour in ok verity init crash stubborn flood; do make_image $behaviour "console=ttyS0 fake=$behaviour"; done
make_image net "console=ttyS0 fake=ok dial=9001 dial=$other"
dstack-softtee pki --dir "$work/pki" 2>/dev/null
cat >"$work/vmm.toml" <<TOML
address = "unix:$sock"
tcp_address = "tcp:127.0.0.1:$tcp"
run_path = "$work/vm"
image.path = "$work/images"
softtee.pki = "$work/pki"
[cvm]
platform = "soft"
accel = "tcg"
qemu_path = "$fake"
shutdown_grace = 2
max_allocable_memory_in_mb = 4096
[cvm.port_mapping]
enabled = true
[cvm.auto_restart]
initial_backoff = 1
max_retries = 2
[cvm.log]
max_bytes = "16K"
max_backups = 2
[[network.forward]]
listen = 9001
to = "127.0.0.1:$forwarded"
TOML

# --- start, both listeners, both encodings
check "the configuration is valid" dstack-vmm -c "$work/vmm.toml" --check
check "the daemon starts" start_daemon
version=$(rpc Version | jq -r .version)
check "Version answers on the loopback port" test "$(curl -s "http://127.0.0.1:$tcp/prpc/Version" | jq -r .version)" = "$version"
check "Version answers in protobuf" test "$(curl -s --unix-socket "$sock" -X POST http://vmm/prpc/Vmm.Version | head -c $((2 + ${#version})) | tail -c +3)" = "$version"
check "ListImages lists them all" test "$(rpc ListImages | jq '.images | length')" = 7
check "GetMeta tells what there is" test "$(rpc GetMeta | jq -r .networking.default_mode)" = user
check "GetComposeHash is the SHA-256 of the text" \
	test "$(rpc GetComposeHash '{"compose_file":"{}"}' | jq -r .hash)" = "$(printf '{}' | sha256sum | cut -c1-64)"
sed "s|$sock|$sock.2|; s|^tcp_address.*||" "$work/vmm.toml" >"$work/second.toml"
refused "a second daemon for the same VMs" vmm.locked dstack-vmm -c "$work/second.toml"

# --- a VM's life
id=$(create app ok)
wait_for "a VM boots, its guest reports through vsock" 20 is "$id" boot_progress done
check "it is running" is "$id" status running
check "its instance id is known" is "$id" instance_id 00112233445566778899aabbccddeeff00112233
check "its app id is the compose hash's head" is "$id" app_id "$(printf '{}' | sha256sum | cut -c1-40)"
check "a vsock port without service is reset" grep -q 'reset at port 9' "$work/vm/$id/serial.log"
check "/logs gives the console" bash -c "curl -s --unix-socket '$sock' 'http://vmm/logs?id=$id' | grep -q login:"
check "/logs follows it" bash -c "{ timeout 3 curl -sN --unix-socket '$sock' 'http://vmm/logs?id=$id&follow=true&lines=0'; true; } >'$work/follow' &
	sleep 0.7; echo 'a line of later' >>'$work/vm/$id/serial.log'; wait; grep -q 'a line of later' '$work/follow'"
check "files of the VM are for nobody else" test -z "$(find "$work/vm" -perm /077 ! -type l ! -type s)"
check "sockets are for nobody else" test -z "$(find "$work/vm" -type s -perm /077)"

kill_daemon
check "the VM runs on when the daemon is killed" kill -0 "$(qemu_of "$id")"
before=$(runner_of "$id")
check "a new daemon starts" start_daemon
check "it has adopted the VM" is "$id" status running
check "with its progress" is "$id" boot_progress done
check "by the same runner" test "$(runner_of "$id")" = "$before"

qemu=$(qemu_of "$id")
rpc ShutdownVm "{\"id\":\"$id\"}" >/dev/null
wait_for "ShutdownVm: the guest powers off" 10 is "$id" status stopped
check "and said so" is "$id" shutdown_progress "powering off"
check "QEMU is gone" gone "$qemu"
rpc StartVm "{\"id\":\"$id\"}" >/dev/null
wait_for "StartVm starts it again" 20 is "$id" boot_progress done
rpc StopVm "{\"id\":\"$id\"}" >/dev/null
wait_for "StopVm stops it" 10 is "$id" status stopped
check "the log of the boot before is kept" test -s "$work/vm/$id/serial.log.1"
guest() { curl -s -m 20 --unix-socket "$sock" "http://vmm/guest/$1?id=$2" | grep -qF "\"code\": \"$3\""; }
check "a stopped VM's guest cannot be asked" guest Info "$id" vmm.not_running
check "nor that of no VM" guest ProxiedGuestApi.SysInfo nobody vmm.no_vm
rpc RemoveVm "{\"id\":\"$id\"}" >/dev/null
wait_for "RemoveVm removes it" 10 test ! -e "$work/vm/$id"

# --- the network around a guest
id=$(create net net)
wait_for "a guest with network tests boots" 20 is "$id" boot_progress done
check "it reaches the forwarded service" grep -q 'dial 9001: welcome' "$work/vm/$id/serial.log"
check "it reaches nothing else of the host's loopback" grep -q "dial $other: unreachable" "$work/vm/$id/serial.log"
rpc RemoveVm "{\"id\":\"$id\"}" >/dev/null

# --- how VMs end
for case in "verity guest.verity" "init init.cmdline" "crash QEMU"; do
	read -r image code <<<"$case"
	id=$(create "$image" "$image")
	wait_for "a guest that dies ($image): boot_error says why ($code)" 20 has "$id" boot_error "$code"
	rpc StopVm "{\"id\":\"$id\"}" >/dev/null
	rpc RemoveVm "{\"id\":\"$id\"}" >/dev/null
done
id=$(create again verity)
wait_for "it is tried again, a limited number of times" 40 has "$id" 'events[].event' vmm.auto_restart.exhausted
check "the reason is still to be seen" has "$id" boot_error guest.verity
rpc RemoveVm "{\"id\":\"$id\"}" >/dev/null
id=$(create stubborn stubborn)
wait_for "a stubborn guest boots" 20 is "$id" boot_progress done
rpc ShutdownVm "{\"id\":\"$id\"}" >/dev/null
wait_for "and is stopped when its grace is over" 12 is "$id" status stopped
rpc RemoveVm "{\"id\":\"$id\"}" >/dev/null
id=$(create flood flood)
wait_for "a guest that floods its console boots" 20 is "$id" boot_progress done
wait_for "its log is rotated" 20 test -s "$work/vm/$id/serial.log.2"
check "and stays small" test "$(du -cb "$work/vm/$id"/serial.log* | tail -1 | cut -f1)" -lt 1000000
rpc RemoveVm "{\"id\":\"$id\"}" >/dev/null
wait_for "it is killed when it does not listen to QMP" 10 test ! -e "$work/vm/$id"

id=$(create bare ok)
wait_for "a VM whose software TEE will be killed boots" 20 is "$id" boot_progress done
kill -9 "$(pgrep -f "dstack-softtee vm .*" -P "$(runner_of "$id")")"
wait_for "it cannot go on without" 15 has "$id" 'events[].body' vmm.softtee
rpc RemoveVm "{\"id\":\"$id\"}" >/dev/null

# --- runners that die
id=$(create victim ok)
wait_for "a VM whose runner will be killed boots" 20 is "$id" boot_progress done
runner=$(runner_of "$id") qemu=$(qemu_of "$id")
kill -9 "$runner"
wait_for "its QEMU dies with it" 5 gone "$qemu"
wait_for "the daemon sees it" 5 has "$id" 'events[].body' vmm.runner_died
restarted() { [ "$(runner_of "$id")" != "$runner" ] && is "$id" boot_progress done && is "$id" status running; }
wait_for "and starts the VM again" 20 restarted
kill_daemon
runner=$(runner_of "$id")
kill -9 "$runner"
check "a new daemon starts after both were killed" start_daemon
wait_for "and starts the VM again" 20 restarted
kill_daemon
touch "$work/vm/$id/.removing"
check "a new daemon starts with a removal half done" start_daemon
wait_for "and finishes it" 10 test ! -e "$work/vm/$id"

# --- what is refused
vm() { printf '{"name":"x","image":"ok","compose_file":"{}","vcpu":1,"memory":256,"disk_size":1%s}' "${1:-}"; }
with() { vm | jq -c "$1"; }
refused "a name with a slash" vmm.input rpc CreateVm "$(with '.name="a/b"')"
refused "an image outside its folder" vmm.input rpc CreateVm "$(with '.image="../ok"')"
refused "an image that is not there" image.absent rpc CreateVm "$(with '.image="none"')"
refused "no vCPU" vmm.input rpc CreateVm "$(with '.vcpu=0')"
refused "4 GiB in MiB" vmm.input rpc CreateVm "$(with '.memory=4294967295')"
refused "a disk without size" vmm.input rpc CreateVm "$(with '.disk_size=0')"
refused "an app id that is none" vmm.input rpc CreateVm "$(with '.app_id="zz"')"
refused "a compose file that is not JSON" vmm.compose rpc CreateVm "$(with '.compose_file="services:"')"
refused "a host port out of range" vmm.input rpc CreateVm "$(with '.ports=[{"protocol":"tcp","host_port":70000,"vm_port":1}]')"
refused "a host port not allowed" vmm.port_mapping rpc CreateVm "$(with '.ports=[{"protocol":"tcp","host_port":30000,"vm_port":1}]')"
refused "an address that smuggles an option" vmm.input rpc CreateVm "$(with '.ports=[{"protocol":"tcp","host_port":1000,"vm_port":1,"host_address":"127.0.0.1:1-:2,x=y"}]')"
refused "the same host port twice" vmm.port_conflict rpc CreateVm "$(with '.ports=[{"protocol":"tcp","host_port":1000,"vm_port":1},{"protocol":"tcp","host_port":1000,"vm_port":2}]')"
refused "GPUs, which we do not have" vmm.unsupported rpc CreateVm "$(with '.gpus={"attach_mode":"all"}')"
refused "more memory than all VMs may take" vmm.input rpc CreateVm "$(with '.memory=5000')"
refused "a number as text in words" error rpc CreateVm "$(with '.vcpu="many"')"
refused "an unknown VM" "VM not found" rpc StartVm '{"id":"nobody"}'
refused "a VM id that is a path" vmm.input rpc RemoveVm '{"id":"../../etc"}'
refused "garbage" error rpc CreateVm '{{{{'
refused "an unknown method" "Service not found" rpc NoSuchMethod '{}'
head -c $((11 << 20)) /dev/zero >"$work/big"
refused "a body of 11 MiB" "too large" curl -s --fail-with-body --unix-socket "$sock" -X POST 'http://vmm/prpc/StartVm?json' --data-binary "@$work/big"
check "GetInfo of an unknown VM says so" test "$(rpc GetInfo '{"id":"nobody"}')" = '{"found":false,"info":null}'
check "/logs of an unknown VM is not found" test "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$sock" 'http://vmm/logs?id=../..')" = 404
none_left() { rpc Status '{"brief":true}' | jq -c '.vms[] | [.name, .status, .boot_error]' && test -z "$(find "$work/vm" -mindepth 1 -maxdepth 1 -type d)"; }
check "nothing is left of what was refused" none_left

# --- what of a VM can change
id=$(create changes ok '"stopped":true,"user_config":"a"')
change() { rpc UpdateVm "{\"id\":\"$id\",$1}"; }
check "its sealed environment" change '"encrypted_env":"00ff"'
check "as upstream's older clients ask" rpc UpgradeApp "{\"id\":\"$id\",\"user_config\":\"b\"}"
changed() { [ "$(xxd -p "$work/vm/$id/shared/.encrypted-env")" = 00ff ] && [ "$(cat "$work/vm/$id/shared/.user-config")" = b ]; }
check "each is there, and the other stayed" changed
for more in '"compose_file":"{}"' '"vcpu":2' '"memory":512' '"disk_size":2' '"image":"ok"' '"no_tee":true' '"update_ports":true' '"update_kms_urls":true' '"update_gateway_urls":true' '"update_networking":true' '"gpus":{}'; do
	refused "nothing else: $more" vmm.unsupported change "$more,\"encrypted_env\":\"11\""
done
refused "nor of an unknown VM" "VM not found" rpc UpdateVm '{"id":"nobody","encrypted_env":"00"}'
check "and nothing was changed by these" changed
rpc RemoveVm "{\"id\":\"$id\"}" >/dev/null
wait_for "it goes" 10 none_left
echo altered >"$work/images/crash/bzImage"
refused "an image that was altered" image.digest rpc CreateVm "$(with '.image="crash"')"
check "and nothing is left of it" none_left
id=$(create stays ok)
wait_for "after all this a VM still boots" 20 is "$id" boot_progress done

rpc StopVm "{\"id\":\"$id\"}" >/dev/null
wait_for "it stops" 10 is "$id" status stopped
mv "$work/vm/$id/shared/app-compose.json" "$work/compose.json"
ln -s "$work/compose.json" "$work/vm/$id/shared/app-compose.json"
refused "a shared file that is a link" share.not_regular rpc StartVm "{\"id\":\"$id\"}"
mv "$work/compose.json" "$work/vm/$id/shared/app-compose.json"
ln -s /etc/hostname "$work/vm/$id/shared/.user-config"
rpc StartVm "{\"id\":\"$id\"}" >/dev/null
wait_for "another one that is a link" 10 has "$id" boot_error share.not_regular
rpc StopVm "{\"id\":\"$id\"}" >/dev/null
rm "$work/vm/$id/shared/.user-config"
rpc StartVm "{\"id\":\"$id\"}" >/dev/null
wait_for "without it the VM starts" 20 is "$id" boot_progress done

# --- platforms
sed -i "s/^platform = .*/platform = \"tdx\"/; s|^run_path.*|run_path = \"$work/vm2\"|; s|$sock|$sock.3|; s/^tcp_address.*//" "$work/vmm.toml"
refused "TDX on a machine without it, never silently soft" platform.tdx_unavailable dstack-vmm -c "$work/vmm.toml"
vm >"$work/vm.json"
check "the TDX command line is printed without TDX" bash -c "dstack-vmm run '$work/vm.json' -c '$work/vmm.toml' --dry-run | grep -q 'confidential-guest-support=tdx'"
check "with the compose hash in MRCONFIGID" bash -c "dstack-vmm run '$work/vm.json' -c '$work/vmm.toml' --dry-run |
	grep -qF '\"mrconfigid\":\"$(python3 -c 'import base64, hashlib; print(base64.b64encode(b"\x01" + hashlib.sha256(b"{}").digest() + bytes(15)).decode())')\"'"
echo 'no_such_key = 1' >"$work/bad.toml"
refused "an unknown key in the configuration" config.unknown_key dstack-vmm -c "$work/bad.toml" --check
