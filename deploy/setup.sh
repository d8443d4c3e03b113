#!/usr/bin/env bash
# Installs what `make test` needs and this machine lacks: the server programs of PostgreSQL, for the race detector a C
# compiler, and for the pages of reports a browser, Chromium. Where nothing is missing it does and says nothing. The tests
# start throw-away servers of their own, so no system-wide PostgreSQL is set up or left running.
set -euo pipefail

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
	say "$@"
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "run this as root, or install sudo: $*"
	fi
}

apt_install() {
	say "installing $*"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# The same places as vault/vaulttest/pgtest looks in.
has_postgresql() {
	command -v initdb >/dev/null && command -v pg_ctl >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

has_c_compiler() {
	echo '#include <stdlib.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1
}

# One of the names that chromedp, which drives it, looks for in PATH. Ubuntu's chromium-browser is a stub for a snap where
# snap is missing, so each must be able to say its version.
has_browser() {
	local name
	for name in headless_shell headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
		if command -v "$name" >/dev/null && "$name" --version >/dev/null 2>&1; then return; fi
	done
	return 1
}

# Debian's server package makes a "main" cluster and starts it, unless a setting that must be there before says no. The
# setting is taken away again: it is not ours to decide what a later installation does.
install_postgresql() {
	local setting=/etc/postgresql-common/createcluster.d/cardvault-setup.conf
	apt_install postgresql-common
	as_root mkdir -p "${setting%/*}"
	echo 'create_main_cluster = false' | as_root tee "$setting" >/dev/null
	# shellcheck disable=SC2064 # The path is known now, and local.
	trap "as_root rm -f '$setting'" EXIT
	apt_install postgresql
}

command -v go >/dev/null || die 'Go is missing (go.mod says which version): https://go.dev/dl/'

missing=()
has_postgresql || missing+=('the server programs of PostgreSQL (initdb, pg_ctl)')
has_c_compiler || missing+=('a C compiler with the headers of the C library')
has_browser || missing+=('a browser: Chromium or Google Chrome')
[ ${#missing[@]} -gt 0 ] || exit 0

for what in "${missing[@]}"; do say "missing: $what"; done
command -v apt-get >/dev/null || die 'this is not Debian or Ubuntu: install the above, so that it is in PATH, and try again'

as_root apt-get update -qq
has_c_compiler || apt_install gcc libc6-dev
has_postgresql || install_postgresql
has_browser || { apt_install chromium && has_browser; } || die 'no Chromium that runs comes with this system: install Google Chrome, and try again'
