# What the boot scripts share. Sourced by sh and bash.
export PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C
work=/var/volatile/dstack
persistent=$work/persistent

say() {
	local up _
	read -r up _ </proc/uptime
	echo "dstack-boot: [$up] $*" >/dev/console
}

notify() { # EVENT PAYLOAD: best effort, never holds the boot up
	dstack-setup notify "$1" "$2" >/dev/null 2>&1 || true
}

progress() {
	say "$1"
	notify boot.progress "$1"
}

failed() { # CODE TEXT
	say "$1: $2"
	notify boot.error "$1: $2"
}
