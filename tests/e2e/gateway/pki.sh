# Certificates for the gateway's tests: a KMS root, a gateway certificate, instance certificates with app info.
# pki_root DIR; pki_server DIR; pki_instance DIR NAME APP_ID INSTANCE_ID [ROOT]   (hex ids; ROOT: ca or another)
pki_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null && chmod 600 "$1"; }
pki_root() # pki_root DIR [NAME]
{
	local n=${2:-ca}
	pki_key "$1/$n.key"
	openssl req -x509 -new -key "$1/$n.key" -subj "/CN=test root" -days 10 -out "$1/$n.pem" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign 2>/dev/null
}
pki_sign() # pki_sign DIR NAME SUBJECT EXTENSIONS [ROOT]
{
	local d=$1 n=$2 root=${5:-ca}
	pki_key "$d/$n.key"
	openssl req -new -key "$d/$n.key" -subj "/CN=$3" -out "$d/$n.csr" 2>/dev/null
	printf '%s\n' "$4" >"$d/$n.ext"
	openssl x509 -req -in "$d/$n.csr" -CA "$d/$root.pem" -CAkey "$d/$root.key" -CAcreateserial -days 9 \
		-extfile "$d/$n.ext" -out "$d/$n.pem" 2>/dev/null
}
pki_server() { pki_sign "$1" gateway gateway 'subjectAltName=DNS:localhost,IP:127.0.0.1
extendedKeyUsage=serverAuth'; }
# MessagePack: an array of nine: app_id, compose_hash, instance_id, device_id, mr_system, mr_aggregated,
# os_image_hash, key_provider_info (all bin), init_script_hashes (nil). An OCTET STRING around it.
app_info() # app_info APP_ID INSTANCE_ID -> hex of the extension's content
{
	local z=0000000000000000000000000000000000000000000000000000000000000000 body
	body=99c414$1c420$(printf 'c0%.0s' {1..32})c414$2c420${z}c420${z}c420${z}c420${z}c400c0
	printf '0481%02x%s' $((${#body} / 2)) "$body"
}
pki_instance()
{
	pki_sign "$1" "$2" dstack-guest-agent "extendedKeyUsage=clientAuth
1.3.6.1.4.1.62397.1.9=DER:$(app_info "$3" "$4")" "${5:-ca}"
}
# As the KMS issues it: leaf, app CA, both in NAME.pem.
pki_app() # pki_app DIR NAME APP_ID INSTANCE_ID
{
	pki_sign "$1" "$2-ca" app-ca 'basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign'
	pki_instance "$1" "$2" "$3" "$4" "$2-ca"
	cat "$1/$2-ca.pem" >>"$1/$2.pem"
}
