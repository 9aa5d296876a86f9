#!/bin/sh
# Builds what the checks of exported files need of llama.cpp, from PyPI's source package llama-cpp-python, which carries it
# whole: llama-perplexity, llama-quantize, llama-completion, and finch-logits (logits.cpp beside this script). What is there
# already is kept; else some minutes.
#
# usage: sh build.sh
#
#   FINCH_LLAMA_CPP   the folder it is built in   (~/.cache/finch/llama.cpp)
#   JOBS              compilers at a time         (all processors)
#
# Needs python3 with pip, cmake and a C++ compiler. Prints the folder of the programs.
set -eu
export LC_ALL=C

PACKAGE=llama-cpp-python==0.3.36

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
folder=${FINCH_LLAMA_CPP:-${XDG_CACHE_HOME:-$HOME/.cache}/finch/llama.cpp}
build=$folder/build
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

if [ ! -d "$folder/source" ]; then
	"$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$work" "$PACKAGE" >&2
	mkdir -p "$folder" "$work/package"
	tar xzf "$work"/llama_cpp_python-*.tar.gz -C "$work/package" --strip-components=1
	mv "$work/package/vendor/llama.cpp" "$folder/source"
fi
programs="llama-perplexity llama-quantize llama-completion"
missing=
for program in $programs; do
	[ -x "$build/bin/$program" ] || missing="$missing $program"
done
if [ -n "$missing" ]; then
	echo "build.sh: building in $build" >&2
	cmake -S "$folder/source" -B "$build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF \
		-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
		-DLLAMA_OPENSSL=OFF >"$folder/build.log" 2>&1 &&
		cmake --build "$build" -j "$jobs" --target $missing >>"$folder/build.log" 2>&1 ||
		{ tail "$folder/build.log" >&2; echo "build.sh: the build failed: all of it is in $folder/build.log" >&2; exit 1; }
fi
if [ ! -x "$build/bin/finch-logits" ] || [ "$here/logits.cpp" -nt "$build/bin/finch-logits" ]; then
	c++ -O1 -o "$build/bin/finch-logits" "$here/logits.cpp" -I"$folder/source/include" -I"$folder/source/ggml/include" \
		"$build/src/libllama.a" "$build/ggml/src/libggml.a" "$build/ggml/src/libggml-cpu.a" "$build/ggml/src/libggml-base.a" \
		-fopenmp -lpthread -ldl
fi
echo "$build/bin"
