#!/bin/bash
# Every case judged by us and by an implementation that is not ours (npm's @phala/dcap-qvl): the answers differ exactly
# where docs/differences.md says, with the reason.
. "$(dirname "$0")/lib.sh"

cp -r tests/e2e/quote-npm "$work/npm"
check "npm package installs from its lock" npm ci --prefix "$work/npm" --no-audit --no-fund --loglevel=error
mkdir "$work/case"
differ() { node "$work/npm/differential.js" "$(command -v dstack)" tests/evidence "$work/case" >"$work/found.all" 2>"$work/count"; }
check "all cases are judged by both" differ
sed 's/^/  # /' "$work/count"
enough() { [ "$(awk '{print $1}' "$work/count")" -ge 700 ]; }
check "they are many" enough

# Rows of the tables: case, ours, theirs, why.
grep '^| `' docs/differences.md | sed 's/^| //; s/ |$//' | awk -F' \\| ' -v OFS='\t' '{
	gsub(/`/, "", $1); gsub(/`/, "", $2)
	print $1, $2, $3
	if ($4 == "") { print "no reason: " $1 >"/dev/stderr"; exit 1 }
}' | sort -u >"$work/documented" || not_ok "every difference has a reason"
# Bits are documented by kind.
sed -E 's/^(quote|collateral)-bit-[0-9]+/\1-bit-*/' "$work/found.all" | sort -u >"$work/found"
check "the differences are those of docs/differences.md" diff -u "$work/documented" "$work/found"

accepted_alone() { awk -F'\t' '$3 == "refused" {print $1}' "$work/found" | sort; }
check "we accept nothing else that it refuses" diff <(accepted_alone) \
	<(printf '%s\n' dev-chain-dup dev-chain-reorder realcol-tdx-tcb-chain-leaf)
