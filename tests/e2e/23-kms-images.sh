#!/bin/bash
# OS images a KMS does not have: the measurement that came along, downloads (one for all who ask, bounded, compared),
# the cache's clearing, and what policy sees when the check is off. KM-12, OP-06 and CH-11 of the attack list.
. "$(dirname "$0")/lib.sh"
guest=build/tests/tools/fakeguest
app=00112233445566778899aabbccddeeff00112233 compose=$(printf '5a%.0s' {1..32})
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; finish; [ "$failures" -eq 0 ] || exit 1' EXIT

dstack-softtee pki --dir "$work/pki"
dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
pids+=($!)
image=$($guest image --image "$work/made")
mkdir "$work/www" "$work/empty"
# An image server that counts, a policy server that tells what it was asked, both as tests need them.
cat >"$work/servers.py" <<'END'
import http.server, json, os, sys, threading, time
root, log = sys.argv[1], open(sys.argv[2], "a", buffering=1)
class Images(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *a): super().__init__(*a, directory=root)
    def log_message(self, *a): pass
    def do_GET(self):
        log.write("GET %s\n" % self.path)
        mode = open(root + "/mode").read().strip()
        if mode == "hang": time.sleep(5); return
        if mode == "redirect":
            self.send_response(302); self.send_header("Location", "/elsewhere" + self.path); self.end_headers(); return
        if mode == "slow": time.sleep(1)
        super().do_GET()
class Policy(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        log.write("POST %s image=%s\n" % (self.path, json.loads(body)["osImageHash"] or "none"))
        out = json.dumps({"isAllowed": True, "gatewayAppId": "", "reason": ""}).encode()
        self.send_response(200); self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(out))); self.end_headers(); self.wfile.write(out)
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), h) for h in (Images, Policy)]
print("images=%d policy=%d" % tuple(s.server_port for s in servers), flush=True)
threading.Thread(target=servers[1].serve_forever, daemon=True).start()
servers[0].serve_forever()
END
echo ok >"$work/www/mode"
: >"$work/asked"
python3 "$work/servers.py" "$work/www" "$work/asked" >"$work/ports" 2>/dev/null &
pids+=($!)
until_true 5 grep -q policy= "$work/ports"
until_true 5 grep -q port= "$work/serve.log"
www=http://127.0.0.1:$(sed -n 's/images=\([0-9]*\).*/\1/p' "$work/ports")
asked() { grep -c "^GET" "$work/asked"; }

(umask 077 && echo admin-token >"$work/token")
file_policy="[policy]
file = \"$work/policy.toml\""
config() # config FILE IMAGE-LINES [POLICY-LINES]
{
	cat >"$1" <<-EOF
		insecure_development = true
		[core]
		cert_dir = "$work/certs"
		[core.admin]
		address = "tcp:127.0.0.1:0"
		token_file = "$work/token"
		[rpc]
		address = "tcp:127.0.0.1:0"
		sans = ["127.0.0.1"]
		[image]
		dir = "$work/empty"
		$2
		[attestation]
		pccs_url = "http://127.0.0.1:$(sed -n 's/.*port=//p' "$work/serve.log")"
		development_root = "$work/pki/root.der"
		${3-$file_policy}
	EOF
}
printf 'development = true\nos_images = ["%s"]\n[[app]]\nid = "%s"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' \
	"$image" "$app" "$compose" >"$work/policy.toml"
start() # start FILE
{
	[ -z "${kms-}" ] || { kill "$kms" && wait "$kms"; }
	: >"$work/kms.log"
	dstack-kms -c "$1" 2>"$work/kms.log" &
	kms=$!
	pids+=("$kms")
	until_true 10 grep -q 'listening.*tls=yes' "$work/kms.log" || { cat "$work/kms.log" && return 1; }
	port=$(sed -n 's/.*listening.* port=\([0-9]*\) tls=yes/\1/p' "$work/kms.log")
	admin=http://127.0.0.1:$(sed -n 's/.*listening.* port=\([0-9]*\) tls=no/\1/p' "$work/kms.log")
}
keys() { curl -sS --fail-with-body --cacert "$work/certs/root-ca.crt" --cert "$work/good.crt" --key "$work/good.key" "$@" "https://127.0.0.1:$port/prpc/GetAppKey?json"; }
url="cache_dir = \"$work/cache\"
download_url = \"$www/{OS_IMAGE_HASH}.tar.gz\"
download_timeout_s = 2"

# Configuration.
config "$work/bad.toml" 'verify = false'
refused "no image check without saying that it is insecure" config.image dstack-kms -c "$work/bad.toml" --check
config "$work/bad.toml" 'insecure_skip_verify = true'
refused "nor the reverse" config.image dstack-kms -c "$work/bad.toml" --check
config "$work/bad.toml" "cache_dir = \"$work/cache\"
download_url = \"file:///etc/{OS_IMAGE_HASH}\""
refused "images come over http or https" config.image dstack-kms -c "$work/bad.toml" --check

# No download.
config "$work/none.toml" ""
start "$work/none.toml"
who=(--image "$work/made" --app "$app" --compose "$compose")
# shellcheck disable=SC2046 # options, one word each
dstack-softtee quote --dir "$work/pki" --out "$work/good.quote" $($guest quote-args "${who[@]}" --key "$work/good.key")
$guest cert "${who[@]}" --key "$work/good.key" --quote "$work/good.quote" --ca "$work/certs/tmp-ca.crt" --ca-key "$work/certs/tmp-ca.key" --out "$work/good.crt"
refused "an image that is not here" measure.base_unverified keys -d '{}'
lite=$(jq -cn --arg h "$image" --arg s "$(base64 -w0 "$work/made/sha256sum.txt")" --arg m "$(base64 -w0 "$work/made/measurement.tdx.cbor")" \
	'{os_image_hash: $h, cpu_count: 1, memory_size: 2147483648, qemu_version: "7.2.0", num_nics: 1, swtpm: true, tee: "soft",
	  tdx_attestation_variant: "lite", tdx_measurement: {checksum_file: $s, measurement: $m}}')
jq -cn --arg c "$lite" '{vm_config: $c}' >"$work/lite.json"
check "the measurement that came along will do, bound to the image's hash" eval 'keys -d "@$work/lite.json" | jq -e --arg h "$image" ".os_image_hash == \$h"'
jq -c '.vm_config |= sub("\"num_nics\":1"; "\"num_nics\":1 ") | .vm_config |= (fromjson | .tdx_measurement.measurement |= "AAAA" | tojson)' "$work/lite.json" >"$work/lie.json"
refused "another measurement under its name" image.file keys -d "@$work/lie.json"
sed "s/$image/$compose/" "$work/policy.toml" >"$work/policy.new" && mv "$work/policy.new" "$work/policy.toml"
refused "and policy still decides about the image" policy.image_not_allowed keys -d "@$work/lite.json"
printf 'development = true\nos_images = ["%s"]\n[[app]]\nid = "%s"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' \
	"$image" "$app" "$compose" >"$work/policy.toml"

# Downloads. A failure is remembered for half a minute, so each case has a KMS of its own.
fetch_refused() # fetch_refused TEXT CODE [MORE OF image]
{
	config "$work/fetch.toml" "$url
${3-}"
	start "$work/fetch.toml"
	refused "$1" "$2" keys -d '{}'
	check "  leaves nothing behind" test -z "$(ls -A "$work/cache")"
}
fetch_refused "a server without the image" image.unknown
before=$(asked)
refused "  which is not asked again at once" image.unknown keys -d '{}'
check "  (it was not)" test "$(asked)" = "$before"
echo redirect >"$work/www/mode" && fetch_refused "a redirect" image.download
echo hang >"$work/www/mode" && fetch_refused "a server that does not answer" image.download
echo ok >"$work/www/mode"
pack() { tar -C "$work/made" --transform 's,^\./,,' -czf "$work/www/$image.tar.gz" "$@" ./initrd ./measurement.tdx.cbor ./metadata.json ./sha256sum.txt; }
cp -r "$work/made" "$work/true" && echo other >"$work/made/initrd" && pack && rm -r "$work/made" && mv "$work/true" "$work/made"
fetch_refused "an archive with another file" image.file
cp -r "$work/made" "$work/true" && echo >>"$work/made/sha256sum.txt" && pack && rm -r "$work/made" && mv "$work/true" "$work/made"
fetch_refused "an archive of another image" image.
head -c 3000000 /dev/urandom >"$work/made/rootfs" && pack ./rootfs && rm "$work/made/rootfs"
fetch_refused "an archive beyond the limit" image.too_large 'download_max_mib = 1'
ln -s /etc/passwd "$work/made/link" && pack ./link && rm "$work/made/link"
fetch_refused "km_12 a link in the archive" image.archive

pack && echo slow >"$work/www/mode"
config "$work/fetch.toml" "$url"
start "$work/fetch.toml"
before=$(asked)
check "20 guests with a new image at once all get their keys" eval 'build/bench/bench-kms-load "127.0.0.1:$port" "$work/certs/root-ca.crt" \
	"$work/certs/tmp-ca.crt" "$work/certs/tmp-ca.key" "$work/pki" "$work/made" "$app" "$compose" "$kms" 20 |
	grep "^kms.load.lost	0	"'
check "by one download" test "$(asked)" = $((before + 1))
check "the image stays" test -f "$work/cache/$image/metadata.json"
check "and is counted" eval 'curl -sS --cacert "$work/certs/root-ca.crt" "https://127.0.0.1:$port/metrics" | grep "^dstack_kms_images_fetched_total [1-9]"'

# op_06, km_12: clearing.
clear() { curl -sS --fail-with-body -H 'X-Admin-Token: admin-token' "$admin/prpc/Admin.ClearImageCache?json" -d "$1"; }
for tokens in "-H Accept:x" "-H X-Admin-Token:" "-H X-Admin-Token:admin" "-u admin:" "-u admin:wrong"; do
	# shellcheck disable=SC2086 # options
	refused "op_06 clearing with $tokens" admin.unauthorized curl -sS --fail-with-body $tokens "$admin/prpc/ClearImageCache?json" -d '{"image_hash":"all"}'
done
check "op_06 a refusal says how to ask" eval 'curl -sS -o /dev/null -D - "$admin/" | grep -i "www-authenticate: basic realm"'
for key in .. ../images /etc "$work/made" '%2e%2e' . "$image/../../made" 'a b' "$image/"; do
	refused "km_12 the key $key" kms.cache_key clear "$(jq -cn --arg k "$key" '{image_hash: $k}')"
done
ln -s "$work/made" "$work/cache/abcd"
check "km_12 an entry that is a link goes, its target stays" eval 'clear "{\"image_hash\":\"abcd\"}" && [ ! -e "$work/cache/abcd" ] && [ -f "$work/made/initrd" ]'
check "an entry that is not there" clear '{"image_hash":"abcd"}'
check "a single measurement" clear "{\"config_hash\":\"$compose\"}"
check "a single image" eval 'clear "{\"image_hash\":\"$image\"}" && [ ! -e "$work/cache/$image" ]'
check "which is fetched again when it is asked for" eval 'keys -d "{}" >/dev/null && [ "$(asked)" = $((before + 2)) ]'
check "all of them" eval 'clear "{\"image_hash\":\"all\",\"config_hash\":\"all\"}" && [ -d "$work/cache" ] && [ -z "$(ls -A "$work/cache")" ]'

# The check switched off: policy sees that the image is not known.
config "$work/off.toml" 'verify = false
insecure_skip_verify = true'
start "$work/off.toml"
refused "without the check the image is nothing a file can allow" policy.image_not_allowed keys -d '{}'
config "$work/off.toml" 'verify = false
insecure_skip_verify = true' "[[policy.source]]
type = \"webhook\"
url = \"http://127.0.0.1:$(sed -n 's/.*policy=//p' "$work/ports")\""
start "$work/off.toml"
check "a webhook may decide" eval 'keys -d "{}" | jq -e ".os_image_hash == \"\" and (.disk_crypt_key | length == 64)"'
check "and was told of no image" grep -q '^POST /bootAuth/app image=none$' "$work/asked"
check "evidence is verified all the same" eval '$guest cert "${who[@]}" --key "$work/thief.key" --quote "$work/good.quote" \
	--ca "$work/certs/tmp-ca.crt" --ca-key "$work/certs/tmp-ca.key" --out "$work/thief.crt"'
refused "ch_11 another's evidence" ratls.key_mismatch curl -sS --fail-with-body --cacert "$work/certs/root-ca.crt" \
	--cert "$work/thief.crt" --key "$work/thief.key" -d '{}' "https://127.0.0.1:$port/prpc/GetAppKey?json"
