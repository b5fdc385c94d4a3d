#!/usr/bin/env bash
# Says whether all is well: formatting, vet, staticcheck, build, and every test
# against a real PostgreSQL and a real browser. Needs Go; as root on Debian it
# installs the rest. Runs from anywhere.
#
#   bash deploy/test.sh [--matrix] [argument of go test ...]
#
# --matrix runs, after all this, the tests that depend on the server on PostgreSQL
# 13, 14, 16, 17 and 18, too; what is not installed is fetched into the cache.
# A -run among the arguments goes before the choice that is made there.
set -euo pipefail

matrix=
if [ "${1:-}" = --matrix ]; then
	matrix="13 14 16 17 18"
	shift
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '== %3ds  %s\n' "$SECONDS" "$*"; }
have() { command -v "$1" >/dev/null; }

# install PACKAGE... where we may; says so where we may not.
install() {
	if [ "$(id -u)" = 0 ] && have apt-get; then
		step "installing $*"
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "$@" >/dev/null && return
	fi
	step "not installed: $*"
}

# install_quietly PACKAGE... whose service Debian would start at once: the tests start their own.
install_quietly() {
	if [ -e /usr/sbin/policy-rc.d ] || ! [ -w /usr/sbin ]; then
		install "$@"
		return
	fi
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod +x /usr/sbin/policy-rc.d
	install "$@"
	rm /usr/sbin/policy-rc.d
}

# unpack PACKAGE FOLDER where we may, without installing it: that would start its service.
unpack() {
	local download
	download=$(mktemp -d)
	if have apt-get && have dpkg; then
		step "unpacking $1 into $2"
		[ "$(id -u)" != 0 ] || apt-get -qq update || step "apt-get update did not work"
		(cd "$download" && apt-get -qq download "$1" 2>/dev/null) && mkdir -p "$2" && dpkg -x "$download/$1"_*.deb "$2" || step "not unpacked: $1"
	else
		step "not unpacked: $1"
	fi
	rm -r "$download"
}

if ! have go; then
	echo "Go is missing; fix: install Go 1.26 or later from https://go.dev/dl/" >&2
	exit 1
fi
# The tests fetch a PostgreSQL themselves where this finds and installs none.
if ! have postgres && ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && [ -z "${SCHOOLBELL_POSTGRES_BIN:-}" ]; then
	install postgresql
fi
have chromium || have chromium-browser || have google-chrome || install chromium
# The JavaScript client's tests; WebSocket is there without the flag from node 22 on.
node --experimental-websocket --eval WebSocket 2>/dev/null || install nodejs
# A real Django writes the sessions that the tests sign in with. Debian's, for Debian's Python.
/usr/bin/python3 -c "import django, psycopg2" 2>/dev/null || install python3-django python3-psycopg2
# It looks for mistakes in the unit, and for what the unit leaves open.
have systemd-analyze || install systemd
# The examples of reverse proxies are tried with real ones.
have nginx || [ -x /usr/sbin/nginx ] || install_quietly nginx
have caddy || install_quietly caddy
# axe-core, which looks for what keeps people from using the page; pinned, and served to nobody.
have npm || install npm
if have npm; then
	npm ci --silent --no-audit --no-fund --prefix wsserver/web/webtest >/dev/null || step "not installed: axe-core"
fi
# A Prometheus looks at the rules and asks what the panels of the dashboard ask.
prometheus=${XDG_CACHE_HOME:-$HOME/.cache}/schoolbell/prometheus
PATH=$PATH:$prometheus/usr/bin
have prometheus || unpack prometheus "$prometheus"

step "formatting"
unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	echo "not formatted; fix: gofmt -w" $unformatted >&2
	exit 1
fi

step "building: a cold build takes minutes"
go build ./...

step "vet"
go vet ./...

step "staticcheck"
go tool -modfile=deploy/tools.mod staticcheck ./...

# Of a module of their own: schoolbell needs nothing of Kubernetes.
step "manifests of Kubernetes"
(cd deploy/kubernetes && go vet ./... && go tool -modfile=../tools.mod staticcheck ./... && go test ./...)

race=-race
if [ "$(go env CGO_ENABLED)" != 1 ] || ! have "$(go env CC)"; then
	step "no C compiler: the tests run without the race detector; fix: apt-get install gcc libc6-dev, and CGO_ENABLED=1"
	race=
fi
# Otherwise each of the hundreds of programs that the tests start and end sleeps for a second.
export GORACE="atexit_sleep_ms=0 ${GORACE:-}"
step "tests"
# A missing server fails a test here instead of skipping it.
export SCHOOLBELL_TEST_REQUIRE=1
# What the page looks like, for people to look at.
export SCHOOLBELL_TEST_SCREENSHOTS=${SCHOOLBELL_TEST_SCREENSHOTS:-${TMPDIR:-/tmp}/schoolbell-screenshots}
mkdir -p "$SCHOOLBELL_TEST_SCREENSHOTS"
step "screenshots of the page go to $SCHOOLBELL_TEST_SCREENSHOTS"
go test $race -timeout 30m "$@" ./...

# Of the program: one scenario of everything, what check, init and serve say, each way
# to lose the slot, the end, and the faults. What is fetched has neither pg_basebackup
# nor pg_dump, which two of the ways need.
program='WatchedByTheRaceDetector|Explained|Score|WaitedFor|DirectoryOfAnotherDatabase|PrintedSQL|Init|SIGTERMUnderLoad|Heals|DeliveredLate|BusyTables|NotALoss|Faults'
for version in $matrix; do
	export SCHOOLBELL_TEST_POSTGRES=$version
	began=$SECONDS
	step "tests on PostgreSQL $version"
	go test $race -timeout 15m "$@" ./cdc/pgoutput ./cdc/replication ./wsserver/auth ./deploy/school ./deploy/postgres/pgtest
	go test $race -timeout 15m -run "$program" -skip PromotedStandby "$@" ./cmd/schoolbell
	step "PostgreSQL $version is well: $((SECONDS - began)) s"
done

step "all is well"
