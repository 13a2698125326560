#!/bin/bash
# dstack-verifier: the real program over HTTP and in its one-shot forms; evidence that holds and evidence that does not,
# images from a hostile source, hostile requests.
. "$(dirname "$0")/lib.sh"

m=$work/m
mkdir "$m" "$work/www"
hash=$(build/tests/tools/fakemachine "$m" tests/evidence)
samples=tests/evidence/real/dstack/verifier
dstack-softtee serve --dir "$m/pki" --listen tcp:127.0.0.1:0 2>"$work/pccs.log" &
python3 -u -c '
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print("port=%d" % server.server_port)
server.serve_forever()' "$work/www" >"$work/www.log" 2>/dev/null &
until_true 5 grep -q port= "$work/pccs.log"
until_true 5 grep -q port= "$work/www.log"
pccs=http://localhost:$(sed -n 's/.*port=//p' "$work/pccs.log")
www=http://127.0.0.1:$(sed -n 's/.*port=//p' "$work/www.log")
port=$((20000 + RANDOM % 20000))
url=http://127.0.0.1:$port

config() # config NAME [LINE…]: of a verifier with a fresh image folder, development root and lines of its own
{
	local name=$1
	shift
	{
		printf '%s\n' 'address = "127.0.0.1"' "port = $port" "image_cache_dir = \"$work/images-$name\"" \
			"image_download_url = \"$www/{OS_IMAGE_HASH}.tar.gz\"" 'image_download_timeout_secs = 5' \
			'insecure_development = true' "$@" '[attestation]' "development_root = \"$m/pki/root.pem\"" \
			"cache_dir = \"$work/collateral-$name\"" '[attestation.urls]' "pccs = \"$pccs\""
	} >"$work/$name.toml"
}
start() # start NAME
{
	dstack-verifier -c "$work/$1.toml" 2>"$work/$1.log" &
	verifier=$!
	until_true 5 curl -sf "$url/health"
}
stop() { kill $verifier && wait $verifier; }
post() { curl -s --max-time 30 --data-binary "@$1" "$url/verify"; }
answers() # answers FILE JQ-EXPRESSION
{
	post "$1" >"$work/answer" && jq -e "$2" <"$work/answer"
}
status() # status WANTED CURL-ARGUMENT…
{
	local want=$1 got
	shift
	got=$(curl -s -o "$work/answer" -w '%{http_code}' --max-time 30 "$@")
	[ "$got" = "$want" ] || { echo "status $got instead of $want"; head -c 300 "$work/answer"; return 1; }
}

# ---- configuration
config main
check "a configuration is checked" dstack-verifier -c "$work/main.toml" --check
refused "a development root needs its flag" config.development_root \
	env DSTACK_VERIFIER_INSECURE_DEVELOPMENT=false dstack-verifier -c "$work/main.toml" --check
refused "so does a root of upstream's spelling" config.root_ca \
	env "DSTACK_VERIFIER_ATTESTATION__ROOT_CA__TDX=$m/pki/root.pem" dstack-verifier --check
refused "a root that is no CA" config.root_ca env DSTACK_VERIFIER_ATTESTATION__INSECURE_ALLOW_EXTERNAL_TRUST_ANCHORS=true \
	"DSTACK_VERIFIER_ATTESTATION__ROOT_CA__TDX=$m/pki/pck.der" dstack-verifier --check
refused "unknown variables" config.unknown_key env DSTACK_VERIFIER_PROT=1 dstack-verifier --check
echo 'prot = 1' >"$work/unknown.toml"
refused "unknown keys" config.unknown_key dstack-verifier -c "$work/unknown.toml" --check

# ---- hostile image sources: what is served for the hash is not the image
hostile() # hostile NAME CODE: www/HASH.tar.gz was made by the caller
{
	config "$1"
	check "image source: $1" bash -c '! dstack-verifier -c "$1" --verify "$2" >"$3" 2>"$4"' - "$work/$1.toml" "$m/quote.json" \
		"$work/answer" "$work/log"
	check "… is refused ($2) and nothing is left of it" bash -c \
		'jq -e ".is_valid == false and .details.quote_verified and (.reason | startswith(\"OS image hash verification failed: \"))" <"$1" &&
		grep -q "code=$2" "$3" && [ -z "$(ls -A "$4")" ]' - "$work/answer" "$2" "$work/log" "$work/images-$1"
}
hostile nothing image.unknown
python3 - "$work/www" "$m/image" <<'END'
import gzip, io, os, sys, tarfile
out, image = sys.argv[1:]
def make(name, *more, files=sorted(os.listdir(image)), change=None):
    with tarfile.open(f"{out}/{name}.bad", "w:gz", format=tarfile.USTAR_FORMAT) as t:
        for info, data in more:
            t.addfile(info, io.BytesIO(data))
        for f in files:
            data = open(f"{image}/{f}", "rb").read()
            if f == change:
                data += b"x"
            info = tarfile.TarInfo(f); info.size = len(data)
            t.addfile(info, io.BytesIO(data))
def entry(name, data=b"x", type=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name); info.type = type; info.linkname = link
    info.size = len(data) if type == tarfile.REGTYPE else 0
    return info, data
make("dotdot", entry("../escaped"))
make("absolute", entry("/tmp/escaped-by-dstack-test"))
make("symlink", entry("bzImage2", type=tarfile.SYMTYPE, link="/etc/passwd"))
make("hardlink", entry("bzImage2", type=tarfile.LNKTYPE, link="/etc/passwd"))
make("device", entry("null", type=tarfile.CHRTYPE))
make("fifo", entry("pipe", type=tarfile.FIFOTYPE))
make("twice", entry("bzImage"))
make("altered", change="bzImage")
make("incomplete", files=["sha256sum.txt", "metadata.json"])
make("other", change="sha256sum.txt")
open(f"{out}/garbage.bad", "wb").write(os.urandom(5000))
with gzip.open(f"{out}/bomb.bad", "wb", 9) as f: # a file of 600 MiB in 600 KB
    info = tarfile.TarInfo("bzImage"); info.size = 600 << 20
    f.write(info.tobuf(tarfile.USTAR_FORMAT))
    for _ in range(600): f.write(bytes(1 << 20))
END
while read -r name code; do
	mv "$work/www/$name.bad" "$work/www/$hash.tar.gz"
	hostile "$name" "$code"
done <<'END'
dotdot image.archive
absolute image.archive
symlink image.archive
hardlink image.archive
device image.archive
fifo image.archive
twice image.archive
altered image.file
incomplete image.file
other image.hash
garbage image.archive
bomb image.too_large
END
check "nothing escaped" bash -c '[ ! -e /tmp/escaped-by-dstack-test ] && [ -z "$(find "$1" -name "escaped*")" ]' - "$work"

# ---- our own archives, from our own server
check "an image is packed" dstack image pack "$m/image" "$work/packed"
check "packed again it is the same bytes" bash -c 'dstack image pack "$1/m/image" "$1/again" && cmp "$1"/packed/mr_* "$1"/again/mr_*' - "$work"
served=127.0.0.1:$((20000 + RANDOM % 20000))
dstack image serve "$work/packed" tcp:$served 2>"$work/served.log" &
server=$!
until_true 5 grep -q listening "$work/served.log"
config packed
sed -i "s|^image_download_url.*|image_download_url = \"http://$served/mr_{OS_IMAGE_HASH}.tar.gz\"|" "$work/packed.toml"
check "it is downloaded and holds" bash -c 'dstack-verifier -c "$1/packed.toml" --verify "$1/m/quote.json" | jq -e .details.os_image_hash_verified' - "$work"
check "nothing else is served" bash -c '! curl -sf --path-as-is "http://$1/../m/pki/root.pem" && ! curl -sf "http://$1/sha256sum.txt"' - "$served"
kill $server

# ---- evidence
tar -C "$m/image" -czf "$work/www/$hash.tar.gz" .
start main
check "the log says that development is on" grep -q "INSECURE DEVELOPMENT" "$work/main.log"
check "it may make few system calls (seccomp)" grep -q '^Seccomp:.*2$' "/proc/$verifier/status"
check "GET /health" bash -c "[ \"\$(curl -s $url/health)\" = '{\"status\":\"ok\",\"service\":\"dstack-verifier\"}' ]"
check "GET / is the page" bash -c "curl -s $url/ | cmp - build/web/verify.html"
check "good evidence is valid, its image downloaded" answers "$m/quote.json" '.is_valid and .reason == null and .details.os_image_hash_verified'
check "what the archive holds beyond its manifest is gone" bash -c '[ ! -e "$1/unlisted.bin" ] && [ -e "$1/bzImage" ]' - "$work/images-main/$hash"
check "it is marked as development in the answer" answers "$m/quote.json" '.verdict.anchor == "development" and .verdict.ok'
check "upstream's members, no others" answers "$m/quote.json" '(keys | join(" ")) == "details is_valid reason verdict" and
	(.details | keys | join(" ")) == "acpi_tables_verified advisory_ids app_info boot_info event_log_verified key_provider os_image_hash_verified os_image_is_dev os_image_version quote_verified report_data tcb_status tee_variant"'
check "boot_info is what a policy is asked with" answers "$m/quote.json" \
	'.details.boot_info | .teeVariant == "dstack-tdx" and .tcbStatus == "UpToDate" and (.appId | length) == 40 and (.osImageHash | length) == 64'
dstack verify "$m/quote.json" --collateral "$work"/collateral-main/tdx-*.json --development-root "$m/pki/root.pem" --image-dir "$work/images-main" --json >"$work/verdict" 2>/dev/null
# Of the same collateral: that of the service, out of its cache.
check "its verdict is the text of dstack verify --json" grep -qFf "$work/verdict" <(post "$m/quote.json")
check "the attestation form" answers "$m/envelope.json" '.is_valid and .details.app_info.app_id == "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0"'
check "another base" answers "$m/other-base.json" \
	'(.is_valid | not) and .verdict.code == "measure.mrtd" and .details.quote_verified and .details.event_log_verified and (.details.os_image_hash_verified | not)'
check "another log" answers "$m/other-event.json" \
	'(.is_valid | not) and (.reason | startswith("Event log verification failed: ")) and .details.app_info == null and (.details | has("boot_info") | not)'
check "an image minted for its measurement is not verified" answers "$m/lite.json" \
	'(.is_valid | not) and (.reason | startswith("OS image hash verification failed: ")) and .details.os_image_hash_verified == false'
for f in "$samples"/tdx-*.json; do # without collateral for them here
	check "the sample ${f##*/} is judged, not believed" answers "$f" \
		'(.is_valid | not) and (.reason | startswith("Quote verification failed: ")) and .verdict.ok == false'
done
check "the sample of SEV-SNP: no launch measurement is allowed" answers "$samples/sev-snp-attestation.json" \
	'(.is_valid | not) and .verdict.ok == false and .details.app_info == null'


# ---- hostile requests
python3 - "$work" <<'END'
import json, sys
d = sys.argv[1]
open(f"{d}/deep", "w").write("[" * 100000)
open(f"{d}/deeper", "w").write('{"a":' * 50000 + "1" + "}" * 50000)
open(f"{d}/large", "w").write('{"attestation":"' + "00" * (5 << 20) + '"}')
open(f"{d}/zeros", "w").write('{"attestation":"' + "00" * (380 << 10) + '"}')
open(f"{d}/log", "w").write(json.dumps({"quote": "04", "event_log": "[" * 700000}))
open(f"{d}/binary", "wb").write(bytes(range(256)) * 100)
END
check "no JSON: 400" status 400 -d '{' "$url/verify"
check "deep JSON: 400" status 400 --data-binary "@$work/deep" "$url/verify"
check "deep objects: 400" status 400 --data-binary "@$work/deeper" "$url/verify"
check "binary: 400" status 400 --data-binary "@$work/binary" "$url/verify"
check "10 MiB: 413" status 413 -H Expect: --data-binary "@$work/large" "$url/verify"
check "many zeros: an answer" answers "$work/zeros" '.is_valid == false'
check "a hostile log: an answer" answers "$work/log" '.is_valid == false'
check "no evidence: an answer" bash -c "curl -s -d '{}' $url/verify | jq -e '.is_valid == false and .verdict == null'"
check "GET /verify: 405" status 405 "$url/verify"
check "another path: 404" status 404 "$url/../etc/passwd" --path-as-is
check "it is in good health and small" bash -c "curl -sf $url/health && [ \$(awk '/VmHWM/{print \$2}' /proc/$verifier/status) -lt 120000 ]"
seq 200 | xargs -P 50 -I{} curl -s -o /dev/null -w '%{http_code}\n' --max-time 30 --data-binary "@$m/quote.json" "$url/verify" | sort | uniq -c >"$work/many"
check "200 requests, 50 at a time: answered or told to come back" bash -c "! grep -vE ' (200|503)\$' $work/many && grep -q ' 200\$' $work/many"
check "it ends when told" stop
check "without a crash" bash -c "! grep -qiE 'assert|sanitizer|core dumped' $work/main.log"

# ---- one-shot, and what an operator may allow
check "--verify: exit 0, one line, the report beside it" bash -c \
	'dstack-verifier -c "$1" --verify "$2" 2>/dev/null >"$3" && [ "$(wc -l <"$3")" = 1 ] && jq -e .is_valid "$3" && cmp <(tr -d "\n" <"$3") "$2.verification.json"' - \
	"$work/main.toml" "$m/quote.json" "$work/line"
one_shot_refuses() { dstack-verifier -c "$work/main.toml" "$1" "$2" >"$work/line" 2>/dev/null; [ $? = 1 ] && jq -e "$3" "$work/line"; }
check "--verify: exit 1" one_shot_refuses --verify "$m/other-base.json" '.is_valid == false'
check "--verify of no request" bash -c '! dstack-verifier -c "$1" --verify README.md >/dev/null 2>&1' - "$work/main.toml"
check "--verify-cert: exit 0" bash -c 'dstack-verifier -c "$1" --verify-cert "$2" 2>/dev/null >"$3" && jq -e ".certificate.attestation_bound" "$3" && [ -s "$2.ratls-verification.json" ]' - \
	"$work/main.toml" "$m/cert.pem" "$work/line"
check "--verify-cert: another key's evidence" one_shot_refuses --verify-cert "$m/unbound.pem" '.verdict.code == "ratls.key_mismatch"'
check "--verify-cert: a certificate without evidence" one_shot_refuses --verify-cert "$m/pki/root.pem" '.is_valid == false'
config lite 'allowed_images = ["e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db"]'
check "TDX lite by the measurement it brings, for an allowed image" bash -c \
	'dstack-verifier -c "$1" --verify "$2" 2>/dev/null | jq -e "(.is_valid) and (.details.acpi_tables_verified | not)"' - "$work/lite.toml" "$m/lite.json"
check "the legacy variant is refused by name" bash -c \
	'dstack-verifier -c "$1" --verify "$2" 2>"$3" | jq -e "(.is_valid | not) and .verdict.ok" && grep -q verifier.legacy "$3"' - \
	"$work/lite.toml" "$m/legacy.json" "$work/log"
sed -i '/^insecure_development/d; /^development_root/d' "$work/lite.toml"
check "without the development root nothing of it is valid" bash -c \
	'dstack-verifier -c "$1" --verify "$2" 2>/dev/null | jq -e "(.is_valid | not) and .verdict.code == \"root.not_trusted\""' - "$work/lite.toml" "$m/lite.json"
kill %1 %2 2>/dev/null
