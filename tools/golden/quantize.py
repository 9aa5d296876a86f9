"""Golden numbers for the encoders of package compress, from the gguf package and from ggml's own quantizers.

usage: python quantize.py --ggml LLAMA_CPP/ggml > compress/testdata/quantize.json

LLAMA_CPP is llama.cpp's source, as the PyPI source package llama-cpp-python carries it in vendor/llama.cpp
(0.3.36 made the stored numbers). Only ggml-quants.c is compiled, with gcc, in a temporary folder. Needs numpy, gguf.

For each set of weights: the SHA-256 of the float32 weights (the Go test generates the same); for the formats that are
encoded bit for bit, the SHA-256 of gguf.quants.quantize's blocks and the first four blocks; for the searched formats the
squared error of ggml's quantizer relative to the weights, without an importance matrix, as llama-quantize runs it.
"""
import argparse
import ctypes
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

ROWS, COLS = 64, 1024
EXACT = [T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0]
SEARCHED = {T.Q2_K: "quantize_row_q2_K_ref", T.Q3_K: "quantize_row_q3_K_ref", T.Q4_K: "quantize_row_q4_K_ref",
            T.Q5_K: "quantize_row_q5_K_ref", T.Q6_K: "quantize_row_q6_K_ref", T.IQ4_NL: "quantize_iq4_nl"}
STUBS = """
#include <stddef.h>
#include <stdlib.h>
void ggml_abort(const char *file, int line, const char *fmt, ...) { abort(); }
size_t ggml_row_size(int type, long n) {
  switch (type) {
%s
  }
  abort();
}
size_t ggml_type_size(int type) { abort(); }
const char *ggml_type_name(int type) { abort(); }
"""


def splitmix(seed: int, n: int) -> np.ndarray:
    """Words 0…n−1 of the SplitMix64 sequence that starts at seed."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.arange(1, n + 1, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def gaussian(seed: int, n: int) -> np.ndarray:
    """Nearly normal, exact in any language: the sum of twelve 16-bit uniforms, less 6."""
    lanes = splitmix(seed, 3 * n).view(np.uint16).reshape(n, 12).astype(np.int64)
    return (lanes.sum(axis=1) - 6 * 65536) / 65536.0


def weights(name: str) -> np.ndarray:
    n = ROWS * COLS
    if name == "gaussian":
        w = 0.02 * gaussian(1, n)
    elif name == "heavy":  # Student's t with four degrees of freedom
        a, b, c, d = (gaussian(seed, n) for seed in (3, 4, 5, 6))
        w = 0.02 * gaussian(2, n) / np.sqrt((a * a + b * b + c * c + d * d) / 4)
    elif name == "mixed":  # zero, constant, one outlier, positive, negative, tied and tiny rows
        w = 0.02 * gaussian(7, n)
        rows = w.reshape(ROWS, COLS)
        rows[0] = 0
        rows[1] = 0.75
        rows[2] = -0.3
        rows[3, ::256] = 8
        rows[4] = abs(rows[4])
        rows[5] = -abs(rows[5])
        rows[6] = np.sign(rows[6]) * 0.0625
        rows[7] *= 1e-5
        rows[8] *= 10
    return w.astype(np.float32).reshape(ROWS, COLS)


def compile_ggml(ggml: pathlib.Path, folder: pathlib.Path) -> ctypes.CDLL:
    stubs = folder / "stubs.c"
    cases = [f"  case {kind.value}: return n / {block} * {size};" for kind, (block, size) in gguf.GGML_QUANT_SIZES.items()]
    stubs.write_text(STUBS % "\n".join(cases))
    library = folder / "libquants.so"
    subprocess.run(["gcc", "-O2", "-ffp-contract=off", "-fPIC", "-shared", f"-I{ggml}/include", f"-I{ggml}/src",
                    "-o", library, ggml / "src/ggml-quants.c", stubs, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def searched(lib: ctypes.CDLL, kind: T, w: np.ndarray) -> np.ndarray:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = np.zeros((ROWS, COLS // block * size), np.uint8)
    x, out = w.ctypes.data_as(ctypes.c_void_p), blocks.ctypes.data_as(ctypes.c_void_p)
    if kind == T.IQ4_NL:
        lib[SEARCHED[kind]](x, out, ctypes.c_int64(ROWS), ctypes.c_int64(COLS), None)
    else:
        lib[SEARCHED[kind]](x, out, ctypes.c_int64(w.size))
    return blocks


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    args.add_argument("--ggml", type=pathlib.Path, required=True)
    ggml = args.parse_args().ggml
    sets = []
    with tempfile.TemporaryDirectory() as folder:
        lib = compile_ggml(ggml, pathlib.Path(folder))
        for name in ("gaussian", "heavy", "mixed"):
            w = weights(name)
            energy = (w.astype(np.float64) ** 2).sum()
            exact, errors = {}, {}
            for kind in EXACT:
                blocks = np.ascontiguousarray(gguf.quants.quantize(w, kind)).view(np.uint8)
                size = gguf.GGML_QUANT_SIZES[kind][1]
                exact[kind.name.lower()] = {"sha256": hashlib.sha256(blocks.tobytes()).hexdigest(),
                                            "first": blocks.tobytes()[:4 * size].hex()}
            for kind in SEARCHED:
                decoded = gguf.quants.dequantize(searched(lib, kind, w), kind)
                errors[kind.name.lower()] = float(((decoded.astype(np.float64) - w) ** 2).sum() / energy)
            sets.append({"name": name, "rows": ROWS, "cols": COLS,
                         "weights_sha256": hashlib.sha256(w.tobytes()).hexdigest(), "exact": exact, "errors": errors})
    json.dump(sets, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
