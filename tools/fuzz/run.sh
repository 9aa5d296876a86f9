#!/bin/sh
# Fuzz every target of the repository, one after the other, and stop at the first input that breaks one: go test leaves it in
# the package's testdata/fuzz, where it stays with the mend as a test of its own.
#
# usage: tools/fuzz/run.sh [TIME [PACKAGE…]]
#
# TIME is what each target gets: 20s by default, 10m before a release. Packages are folders such as ./model/gguf; all by default.
set -eu
cd "$(dirname "$0")/../.."
time=${1:-20s}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- ./...
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for package in $(go list "$@"); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		# Minimizing is for whoever mends: it must not take the time of the search.
		if ! go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s >"$log" 2>&1; then
			# Before Go 1.27 the end of the time may be taken for a failure (golang.org/issue/75804): then no input is left.
			if ! grep -q '^ *context deadline exceeded' "$log" || grep -q 'Failing input' "$log"; then
				cat "$log"
				exit 1
			fi
		fi
		echo "$package $target: $(grep '^fuzz: .*execs' "$log" | tail -n 1)"
	done
done
