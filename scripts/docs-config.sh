#!/bin/bash
# Print docs/config.md: what each program's --help-config says.
#   scripts/docs-config.sh [BUILD] >docs/config.md
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}

cat <<'END'
# Every configuration key

Made by `scripts/docs-config.sh` of the programs' own `--help-config`; a test compares. Values are the defaults, commented out. Files are
TOML; unknown keys and wrong types are refused with the line's number, and `--check` says so without starting anything. What the keys mean
together is on each program's page. dstack-setup, dstack-init and dstack-softtee have no configuration file; that of the `dstack` command is in
[cli.md](cli.md).
END
for program in kms auth gateway vmm guest-agent simulator verifier; do
	printf '\n## [dstack-%s](%s.md)\n\n```\n' "$program" "$program"
	"$build/bin/dstack-$program" --help-config
	printf '```\n'
done
