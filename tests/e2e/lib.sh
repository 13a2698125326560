# What the whole-system tests share: one line a check, waits with a limit, a stack of their own.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH=$PWD/build/bin:$PATH
failures=0

ok() { echo "ok - $*"; }
not_ok()
{
	echo "not ok - $*"
	failures=$((failures + 1))
}
check() # check TEXT COMMAND…: the command must succeed
{
	local text=$1
	shift
	if "$@" >"$work/check.out" 2>&1; then ok "$text"; else
		not_ok "$text"
		sed 's/^/  # /' "$work/check.out" | tail -n 20
	fi
}
refused() # refused TEXT CODE COMMAND…: the command must fail and name the code
{
	local text=$1 code=$2
	shift 2
	if "$@" >"$work/check.out" 2>&1; then
		not_ok "$text: was not refused"
	elif grep -qF "$code" "$work/check.out"; then
		ok "$text ($code)"
	else
		not_ok "$text: refused without $code"
		sed 's/^/  # /' "$work/check.out" | tail -n 20
	fi
}
until_true() # until_true SECONDS COMMAND…
{
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.3
	done
}

work=$(mktemp -d)
export DSTACK_HOME=$work/home
finish()
{
	if [ -f "$DSTACK_HOME/config.toml" ]; then
		[ "$failures" -eq 0 ] || for f in "$DSTACK_HOME"/log/*.log; do
			echo "# $f"
			tail -n 15 "$f" | sed 's/^/  # /'
		done
		dstack down --dir "$DSTACK_HOME" >/dev/null 2>&1
	fi
	rm -rf "$work"
}
trap 'finish; [ "$failures" -eq 0 ] || exit 1' EXIT
trap 'exit 1' INT TERM

vm_field() # vm_field NAME FIELD: of the VM of that name
{
	dstack ls --json | jq -r --arg n "$1" --arg f "$2" '.vms[] | select(.name == $n) | .[$f]'
}
vm_dir() { echo "$DSTACK_HOME/vmm/vm/$(vm_field "$1" id)"; }
