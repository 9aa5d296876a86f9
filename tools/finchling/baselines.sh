#!/bin/sh
# General-purpose compressors on finchling's held-out text, in bits per byte: what the model is compared with.
#
# usage: sh baselines.sh CORPUS
#
#   xz -9         on the held-out parts of the five texts, one after the other
#   zpaq primed   zpaq -m5 of (trained + held-out) minus zpaq -m5 of trained: as the model does, zpaq has
#                 seen the trained parts before it is charged for the held-out ones. Both fit in one 64 MB block,
#                 so its statistics carry over from the first byte to the last.
#
# Needs python3, xz and zpaq (Debian packages xz-utils and zpaq). zpaq takes some minutes.
set -eu
export LC_ALL=C # awk prints a decimal point

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
	echo "usage: sh baselines.sh CORPUS (the folder of the five texts)" >&2
	exit 2
fi
for tool in python3 xz zpaq; do
	command -v "$tool" >/dev/null || { echo "baselines.sh: $tool not found: install it first" >&2; exit 1; }
done
here=$(cd "$(dirname "$0")" && pwd)
corpus=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work"

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here" python3 - "$corpus" <<'PYTHON'
import pathlib, sys
from corpus import TEXTS, split
parts = [split(pathlib.Path(sys.argv[1]) / name) for name in TEXTS]
trained, held = (b"".join(p) for p in zip(*parts))
pathlib.Path("trained").write_bytes(trained)
pathlib.Path("held").write_bytes(held)
pathlib.Path("both").write_bytes(trained + held)
PYTHON

size() { wc -c <"$1" | tr -d ' '; }

xz -9 --keep held
for part in trained both; do
	zpaq add $part.zpaq $part -m5 -t1 >log 2>&1 || { cat log >&2; exit 1; }
done

awk -v held="$(size held)" -v xz="$(size held.xz)" -v trained="$(size trained.zpaq)" -v both="$(size both.zpaq)" 'BEGIN {
	printf "held-out       %9d bytes\n", held
	printf "xz -9          %9d bytes  %.4f bits per byte\n", xz, 8 * xz / held
	printf "zpaq primed    %9d bytes  %.4f bits per byte (%d - %d)\n", both - trained, 8 * (both - trained) / held, both, trained
}'
