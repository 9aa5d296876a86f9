#!/bin/sh
# What llama.cpp needs for finch's scoring on this CPU: llama-perplexity on a text, in chunks of 512 tokens. llama.cpp comes
# from PyPI's source package llama-cpp-python, which carries it whole, and is built on the first call.
#
# usage: sh llama_cpp.sh TEXT [CHUNKS] [THREADS]     (CHUNKS: 16; THREADS: all)
#
#   FINCH_LLAMA_CPP   the folder it is built in          (~/.cache/finch/llama.cpp)
#   FINCH_SMOLLM2     the model                          (where ../smollm2/fetch.sh puts it)
#   FORMATS           what the model is stored as, besides the file as it is   (BF16 Q8_0 Q4_0)
#   JOBS              compilers at a time                (THREADS)
#
# Tried are all formats and batch sizes. Prints JSON: tokens_per_second of the best, and of each variant, from the first chunk
# to the estimate by the program's own clock, without loading and tokenizing; decode_tokens_per_second, from its own
# timing of the network alone, where one sequence is a batch; ppl; and for every format but BF16 kl, and its tokens per second, against the BF16 network's
# logits, which llama-perplexity has written to a file before. Needs python3 with pip, cmake, a C++ compiler. Some minutes
# for the build, and 100 KB of disk per scored token for the logits.
set -eu
export LC_ALL=C

PACKAGE=llama-cpp-python==0.3.36
CONTEXT=512

say() { echo "llama_cpp.sh: $*" >&2; }

if [ $# -lt 1 ] || [ $# -gt 3 ] || [ ! -f "$1" ]; then
	echo "usage: sh llama_cpp.sh TEXT [CHUNKS] [THREADS]" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
text=$1
chunks=${2:-16}
threads=${3:-$(getconf _NPROCESSORS_ONLN)}
python=${PYTHON:-python3}
folder=${FINCH_LLAMA_CPP:-${XDG_CACHE_HOME:-$HOME/.cache}/finch/llama.cpp}
bin=$folder/build/bin
for tool in "$python" cmake c++; do
	command -v "$tool" >/dev/null || { say "$tool not found: install it first"; exit 1; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

if [ ! -d "$folder/source" ]; then
	"$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$work" "$PACKAGE" >&2
	mkdir -p "$folder" "$work/package"
	tar xzf "$work"/llama_cpp_python-*.tar.gz -C "$work/package" --strip-components=1
	mv "$work/package/vendor/llama.cpp" "$folder/source"
fi
if [ ! -x "$bin/llama-perplexity" ] || [ ! -x "$bin/llama-quantize" ] || [ ! -x "$bin/llama-cli" ]; then
	say "building in $folder/build"
	cmake -S "$folder/source" -B "$folder/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF \
		-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
		-DLLAMA_OPENSSL=OFF >"$folder/build.log" 2>&1 &&
		cmake --build "$folder/build" -j "${JOBS:-$threads}" \
			--target llama-perplexity llama-quantize llama-bench llama-cli >>"$folder/build.log" 2>&1 ||
		{ tail "$folder/build.log" >&2; say "the build failed: all of it is in $folder/build.log"; exit 1; }
fi

model=$(sh "$here/../smollm2/fetch.sh")
ln -s "$model" "$work/file.gguf"
formats=${FORMATS-BF16 Q8_0 Q4_0}
for format in BF16 $formats; do
	[ -e "$work/$format.gguf" ] ||
		"$bin/llama-quantize" --allow-requantize "$model" "$work/$format.gguf" "$format" "$threads" >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; exit 1; }
done

# Run llama-perplexity on format $1 with batch sizes $2 and $3; what it says goes to the log of that name and $4, the name of
# what the other arguments ask for.
perplexity() {
	log=$work/$1,$2,$3,$4.log
	say "$1 -b $2 -ub $3 $4"
	format=$1 batch=$2 ubatch=$3
	shift 4
	"$bin/llama-perplexity" -m "$work/$format.gguf" -f "$text" -c $CONTEXT -b "$batch" -ub "$ubatch" -t "$threads" --chunks "$chunks" \
		--log-timestamps --log-prefix --log-colors off --perf -lv 4 "$@" >"$log" 2>&1 || { tail "$log" >&2; exit 1; }
}

for format in file $formats; do
	for batch in "512 512" "2048 512" "2048 2048"; do
		# shellcheck disable=SC2086
		perplexity "$format" $batch ppl
	done
done
perplexity BF16 512 512 base --kl-divergence-base "$work/base"
for format in file $formats; do
	[ "$format" = BF16 ] || perplexity "$format" 512 512 kl --kl-divergence-base "$work/base" --kl-divergence
done

"$python" - "$work" "$threads" "$((chunks * CONTEXT))" <<'PYTHON'
import json, os, pathlib, re, sys

STAMP = r"^(\d+)\.(\d+)\.(\d+)\.(\d+) I "  # minutes, seconds, milliseconds, microseconds

def clock(text, line):
    m = re.search(STAMP + line, text, re.M)
    minutes, seconds, milli, micro = map(int, m.groups()[:4])
    return 60 * minutes + seconds + milli / 1e3 + micro / 1e6

def number(text, pattern):
    return float(re.search(pattern, text)[1])

folder, threads, tokens = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
variants = {}
for log in sorted(folder.glob("*.log")):
    format, batch, ubatch, kind = log.stem.split(",")
    text = log.read_text()
    end = clock(text, "llama_perf_context_print:        load time")
    if kind == "ppl":
        record = dict(ppl=number(text, r"Final estimate: PPL = ([\d.]+)"))
        start = clock(text, "perplexity: calculating perplexity over")
    elif kind == "kl":
        record = dict(ppl=number(text, r"Mean PPL\(Q\)\s*:\s*([\d.]+)"), kl=number(text, r"Mean\s+KLD:\s*([\d.]+)"))
        start = clock(text, "kl_divergence: computing over")
    else:
        continue
    record["tokens_per_second"] = round(tokens / (end - start), 1)
    if batch == "512":  # with several sequences per batch the program reports millions
        record["decode_tokens_per_second"] = number(text, r"prompt eval time.*?([\d.]+) tokens per second")
    variants[f"{format} -b {batch} -ub {ubatch} {kind}"] = record
best = max(variants, key=lambda v: variants[v]["tokens_per_second"])
print(json.dumps(dict(variants[best], best=best, threads=threads, tokens=tokens,
                      load_average=os.getloadavg()[0], variants=variants), indent=1))
PYTHON
