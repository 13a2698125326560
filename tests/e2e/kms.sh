# What scripts with a dstack-kms of their own set up alike: a development PKI and its collateral service, an image that
# nobody boots, one app that the policy allows, its evidence. Sourced; needs $work, and the programs in PATH.
guest=${BUILD:-build}/tests/tools/fakeguest
app=00112233445566778899aabbccddeeff00112233 compose=$(printf '5a%.0s' {1..32}) inst=$(printf '01%.0s' {1..20})
pids=()
kms_stop_all() { kill "${pids[@]}" 2>/dev/null || true; wait; }

port_of() # port_of LOG [PATTERN]: of the first line that has a port and the pattern; waits for it
{
	local end=$((SECONDS + 10))
	until grep -q "${2-}.*port=[0-9]" "$1"; do
		[ $SECONDS -lt $end ] || { cat "$1" >&2 && return 1; }
		sleep 0.05
	done
	sed -n "/${2-.}/s/.*port=\([0-9]*\).*/\1/p" "$1" | head -n 1
}
kms_world() # $work/pki, $pccs, $image in $work/images/one, $work/policy.toml
{
	dstack-softtee pki --dir "$work/pki"
	dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
	pids+=($!)
	image=$($guest image --image "$work/images/one")
	pccs=http://127.0.0.1:$(port_of "$work/serve.log")
	(umask 077 && echo secret-token >"$work/token")
	kms_admin="state_dir = \"$work/state\"
[core.admin]
address = \"unix:$work/admin.sock\"
token_file = \"$work/token\"" # lines of core
	printf 'development = true\nos_images = ["%s"]\n[[app]]\nid = "%s"\ncompose_hashes = ["%s"]\nallow_any_device = true\n' \
		"$image" "$app" "$compose" >"$work/policy.toml"
}
kms_config() # kms_config [LINES OF core] [MORE TABLES] [LINES OF attestation]: prints kms.toml
{
	cat <<-EOF
		insecure_development = true
		[core]
		cert_dir = "$work/certs"
		${1-}
		[rpc]
		address = "tcp:127.0.0.1:0"
		sans = ["127.0.0.1"]
		[image]
		dir = "$work/images"
		[attestation]
		pccs_url = "$pccs"
		development_root = "$work/pki/root.der"
		${3-}
		[policy]
		file = "$work/policy.toml"
		${2-}
	EOF
}
kms_start() # kms_start CONFIG: $kms its process, $port and $url its listener
{
	: >"$work/kms.log"
	dstack-kms -c "$1" 2>"$work/kms.log" &
	kms=$!
	pids+=("$kms")
	port=$(port_of "$work/kms.log" 'listening.*address=tcp') && url=https://127.0.0.1:$port
}
kms_stop() { kill "$kms" && wait "$kms"; }
kms_ask() # kms_ask METHOD [CURL OPTIONS]
{
	local method=$1
	shift
	curl -sS --fail-with-body --cacert "$work/certs/root-ca.crt" "$@" "$url/prpc/$method?json"
}
# kms_evidence NAME [--instance HEX]…: the app's evidence, $work/NAME.{key,quote,crt}, of a KMS with keys; $who says whose.
kms_evidence()
{
	who=(--image "$work/images/one" --app "$app" --compose "$compose" "${@:2}" --key "$work/$1.key")
	# shellcheck disable=SC2046 # options, one word each
	dstack-softtee quote --dir "$work/pki" --out "$work/$1.quote" $($guest quote-args "${who[@]}") &&
		$guest cert "${who[@]}" --quote "$work/$1.quote" --ca "$work/certs/tmp-ca.crt" --ca-key "$work/certs/tmp-ca.key" --out "$work/$1.crt"
}
