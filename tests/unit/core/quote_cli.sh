#!/bin/bash
# `dstack quote verify` and `quote show`: forms, JSON and exit statuses that scripts rely on.
#   quote_cli.sh DSTACK EVIDENCE-FOLDER DSTACK-SOFTTEE
set -euo pipefail
dstack=$1 real=$2/real mutants=$2/mutants/blobs softtee=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
check() # check NAME WANTED-STATUS COMMAND…: output in $work/out
{
	local name=$1 want=$2 got=0
	shift 2
	"$@" >"$work/out" 2>"$work/err" || got=$?
	if [ "$got" = "$want" ]; then
		echo "ok - $name"
	else
		echo "not ok - $name: exit status $got instead of $want"
		cat "$work/out" "$work/err"
		failed=1
	fi
}
has() # has NAME JQ-FILTER over the JSON in $work/out
{
	if jq -e "$2" "$work/out" >/dev/null; then
		echo "ok - $1"
	else
		echo "not ok - $1"
		cat "$work/out"
		failed=1
	fi
}
tdx=(--quote "$real/dcap-qvl/tdx_quote" --collateral "$real/dcap-qvl/tdx_quote_collateral.json")

check "a genuine quote is accepted" 0 "$dstack" quote verify "${tdx[@]}" --at 1750588248 --json
has "its verdict" '.ok == true and .status == "UpToDate" and .advisory_ids == [] and .code == "" and .error == ""'
has "its claims" '(.claims | length > 4) and all(.claims[]; .ok and .anchor == "intel")'
check "options may come in any order" 0 "$dstack" quote verify --json --at 1750588248 "${tdx[@]}"
check "advisories are listed" 0 "$dstack" quote verify --quote "$real/dcap-qvl/sgx_quote" \
	--collateral "$real/dcap-qvl/sgx_quote_collateral.json" --at 1750588248 --json
has "both of them" '.advisory_ids == ["INTEL-SA-00289", "INTEL-SA-00615"]'
check "too late is not trusted" 5 "$dstack" quote verify "${tdx[@]}" --at 1800000000 --json
has "and says why" '.ok == false and .code == "crl.time" and .status == "" and .error != ""'
check "a quote in hex is read" 5 "$dstack" quote verify --quote "$real/dcap-qvl/quote-from-tappd.hex" \
	--collateral "$real/dcap-qvl/tdx_quote_collateral.json" --at 1750588248 --json
has "to its end" '.code == "tcb.no_level"'
check "a development quote is not trusted by itself" 5 "$dstack" quote verify --quote "$mutants/e724978d682e9c7c3be39f9a" \
	--collateral "$mutants/e5a8bf687611d03c99c1eb33" --at 1768867200 --json
has "because of its root" '.code == "root.not_trusted"'
check "but under its root" 0 "$dstack" quote verify --quote "$mutants/e724978d682e9c7c3be39f9a" \
	--collateral "$mutants/e5a8bf687611d03c99c1eb33" --at 1768867200 --root "$mutants/980650bdba2e2b8e295e6de5" --json
has "which every claim says" '.anchor == "development" and all(.claims[]; .anchor == "development")'
check "Intel's root may be named" 0 "$dstack" quote verify "${tdx[@]}" --at 1750588248 --root "$real/dcap-qvl/intel-root-ca.der"
check "a missing file is unreadable" 2 "$dstack" quote verify --quote "$work/none" --collateral "$work/none" --at 1 --json
has "and says so" '.ok == false and .code == "input.unreadable"'
echo '{"not":"collateral"}' >"$work/collateral"
check "other JSON is no collateral" 2 "$dstack" quote verify --quote "$real/dcap-qvl/tdx_quote" --collateral "$work/collateral" --at 1 --json
check "a time must be a number" 2 "$dstack" quote verify "${tdx[@]}" --at yesterday
check "options must be complete" 2 "$dstack" quote verify --quote x
check "a quote is shown" 0 "$dstack" quote show "$real/dcap-qvl/tdx_quote" --json
has "with its fields" '.header.version == 4 and (.report.rtmr3 | length) == 96 and .platform.fmspc == "b0c06f000000"'
check "for people, too" 0 "$dstack" quote show "$real/dcap-qvl/sgx_quote"
check "what is no quote is not shown" 2 "$dstack" quote show "$real/dcap-qvl/intel-root-ca.der" --json

forged=(--quote "$work/q" --collateral "$work/c" --root "$work/root.der")
level() # level STATUS SVN: a TCB level that needs SVN in the first TDX component
{
	printf '{"tcb":{"sgxtcbcomponents":[%s],"pcesvn":0,"tdxtcbcomponents":[{"svn":%s},%s]},"tcbDate":"2024-11-13T00:00:00Z","tcbStatus":"%s"}' \
		"$zeros,{\"svn\":0}" "$2" "$zeros" "$1"
}
zeros=$(printf '{"svn":0},%.0s' {1..14})'{"svn":0}'
check "evidence is forged" 0 "$softtee" forge "${forged[@]}" --set tcb_info.tcbLevels="[$(level UpToDate 9),$(level OutOfDate 0)]"
check "all TDX components count" 0 "$dstack" quote verify "${forged[@]}" --tdx-components all --json
has "by which it is out of date" '.status == "OutOfDate"'
check "Intel leaves the first two to the module's identity" 0 "$dstack" quote verify "${forged[@]}" --tdx-components intel --json
has "by which it is up to date" '.status == "UpToDate"'
check "there is no third rule" 2 "$dstack" quote verify "${forged[@]}" --tdx-components none
check "a TD 1.5 Ex quote is forged" 0 "$softtee" forge --set kind=tdx5-ex --set td.td_attributes=0000001000000000 "${forged[@]}"
check "and shown" 0 "$dstack" quote show "$work/q" --json
has "whole" '.report.vmid == "00" and (.report.td_id | length) == 64 and .certification.type == 5'
check "but not trusted" 5 "$dstack" quote verify "${forged[@]}" --json
has "by its name" '.code == "quote.body_ex" and (.error | contains("TD 1.5 Ex"))'
check "a quote that names its platform by PPID is forged" 0 "$softtee" forge "${forged[@]}" --set quote.cert_type=2 \
	--set quote.cert_data="$(printf 'ab%.0s' {1..256})$(printf '05%.0s' {1..16})0d000000"
check "and shown" 0 "$dstack" quote show "$work/q" --json
has "with the parts of the name" '.certification.name == "PPID encrypted with RSA-2048" and .certification.pce_svn == 13'
check "but not trusted" 5 "$dstack" quote verify "${forged[@]}" --json
has "since it lacks the chain" '.code == "pck.type" and (.error | contains("format: 2 (PPID encrypted with RSA-2048)"))'

# SEV-SNP reports
azure=$real/trustee/deps/verifier/test_data/az-snp-vtpm trustee=$real/trustee/deps/verifier/test_data/snp go=$real/go-sev-guest/verify
tail -c +33 "$azure/hcl-report.bin" | head -c 1184 >"$work/report"
cat "$azure/vcek-genoa.pem" "$go/trust/ask_ark_genoa.pem" >"$work/genoa.pem"
jq -r '.report[32:1216][]' "$azure/evidence-genoa.json" | awk '{printf "%02x", $1}' >"$work/genoa.hex"
check "a report is accepted with its certificates" 0 "$dstack" quote verify --quote "$work/report" --collateral "$azure/vcek.pem" --at 1750588248 --json
has "under AMD's root" '.ok and .anchor == "amd" and .status == "OutOfDate" and all(.claims[]; .anchor == "amd")'
check "in hex, of Genoa" 0 "$dstack" quote verify --quote "$work/genoa.hex" --collateral "$work/genoa.pem" --at 1750588248 --json
has "it is up to date" '.status == "UpToDate" and (.claims[0].value | test("Genoa"))'
check "other certificates are refused" 5 "$dstack" quote verify --quote "$work/report" --collateral "$work/genoa.pem" --at 1750588248 --json
has "as another chip's" '.ok == false and .code == "snp.chip_id" and .status == ""'
cat "$go/testdata/milan.testcer" >"$work/go.pem"
openssl x509 -inform DER -in "$go/testdata/vcek.testcer" >>"$work/go.pem"
check "a debug guest is refused" 5 "$dstack" quote verify --quote "$go/testdata/attestation.bin" --collateral "$work/go.pem" --at 1750588248 --json
has "as such" '.code == "snp.debug"'
check "so is a VLEK" 5 "$dstack" quote verify --quote "$trustee/test-vlek-report.bin" --collateral "$work/go.pem" --at 1750588248 --json
has "by name" '.code == "snp.vlek"'
check "another root is none for reports" 5 "$dstack" quote verify --quote "$work/report" --collateral "$azure/vcek.pem" --at 1750588248 \
	--root "$real/dcap-qvl/intel-root-ca.der" --json
has "and is named" '.code == "snp.root_format"'
check "a list that is none is refused" 5 "$dstack" quote verify --quote "$work/report" --collateral "$azure/vcek.pem" --at 1750588248 \
	--crl "$azure/vcek.pem" --json
has "with its reason" '.code == "snp.crl_format"'
check "certificates in no known form are unreadable" 2 "$dstack" quote verify --quote "$work/report" --collateral "$work/report" --at 1750588248 --json
check "a report is shown" 0 "$dstack" quote show "$work/report" --json
has "with its fields" '.header.tee_type == "sev-snp" and (.guest.measurement | length) == 96 and .platform.current_firmware == "1.52 build 4"'
check "for people, too" 0 "$dstack" quote show "$trustee/test-vlek-report.bin"
check "an altered one is told apart" 2 "$dstack" quote show <(head -c 1183 "$work/report"; printf x) --json
has "by its byte" '.code == "snp.reserved"'
exit $failed
