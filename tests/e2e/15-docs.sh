#!/bin/bash
# The documentation against the programs: configuration keys, commands and their options, examples, links.
. "$(dirname "$0")/lib.sh"
root=$PWD

check "docs/config.md is what --help-config says (else: scripts/docs-config.sh >docs/config.md)" \
	diff <(scripts/docs-config.sh) docs/config.md
for program in kms gateway vmm guest-agent simulator verifier; do
	page=docs/$program.md
	check "every key of the example in $page exists" python3 tests/e2e/docs/keys.py "$page" <("dstack-$program" --help-config)
done

# Commands: the page has what `dstack --help` has, each answers --help, with the same options.
documented=$(sed -n 's/^## dstack \([a-z]*\)$/\1/p' docs/cli.md | sort)
offered=$(dstack --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sort)
check "docs/cli.md has every command" diff <(echo "$offered") <(echo "$documented")
options() { grep -oE -- '(^|[^-a-z])(--[a-z][a-z-]*|-[a-z]\b)' | grep -oE -- '--?[a-z][a-z-]*$' | grep -vE '^(-h|--help)$' | sort -u; }
for command in $offered; do
	check "dstack $command --help" dstack "$command" --help
	check "docs/cli.md has the options of $command" diff <(dstack "$command" --help | options) \
		<(awk -v h="## dstack $command" '/^## /{on = $0 == h} on && /^\|/' docs/cli.md | options)
	dstack "$command" --no-such-option >"$work/out" 2>&1
	check "dstack $command refuses an unknown option as bad input" test $? -eq 2
done
for program in kms gateway vmm guest-agent simulator verifier softtee setup; do
	check "dstack-$program --help" "dstack-$program" --help
	check "dstack-$program --version" "dstack-$program" --version
done

# Examples marked as sh run as they stand.
for page in README.md docs/*.md docs/formats/*.md; do
	grep -q '^```sh$' "$page" || continue
	mkdir -p "$work/example"
	sed -n '/^```sh$/,/^```$/{/^```/!p}' "$page" >"$work/example/run.sh"
	check "the examples of $page run" env -C "$work/example" PATH="$PATH" bash -e run.sh
	rm -rf "$work/example"
done

# Links and files named.
for page in README.md docs/*.md docs/formats/*.md examples/*/README.md; do
	while IFS= read -r target; do
		[ -e "$(dirname "$page")/$target" ] || not_ok "$page links to $target, which is not there"
	done < <(grep -oE '\]\([^)#: ]+' "$page" | sed 's/^](//')
	while IFS= read -r target; do
		[ -e "$root/$target" ] || not_ok "$page names $target, which is not there"
	done < <(grep -oE '\b(docs|tests|scripts|bench|examples|os)/[A-Za-z0-9_./-]+\.(md|sh|c|h|py|json)\b' "$page" | sort -u)
done
ok "links and files named in README.md, docs and examples were looked at"
