"""Golden numbers for rounding with an importance matrix, and for the IQ formats, from ggml's own quantizers.

usage: python importance.py --ggml LLAMA_CPP/ggml > compress/testdata/importance.json

LLAMA_CPP as for quantize.py, which this builds upon. The sets of weights are those of quantize.py and some rows of two
matrices of finchling. importance is that of the column: the square of a nearly normal number, plus 0.01, and 50 times that
in every 32nd column, as float32.

For each set and format: the squared error of ggml's quantizer relative to the weights, each weight's counting by the
importance of its column ("important"), and the plain one without an importance matrix ("plain"; iq2_xxs and iq2_xs, which
ggml refuses without one, get ones).
"""
import argparse
import ctypes
import json
import pathlib
import sys
import tempfile

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from safetensors import safe_open

import quantize

IQ = [T.IQ4_XS, T.IQ3_S, T.IQ3_XXS, T.IQ2_S, T.IQ2_XS, T.IQ2_XXS]
FUNCTIONS = {kind: f"quantize_{kind.name.lower()}" for kind in [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.IQ4_NL, *IQ]}
FUNCTIONS |= {kind: f"quantize_{kind.name.lower().replace('_k', '_K')}" for kind in [T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K]}
FINCHLING = pathlib.Path(__file__).parents[2] / "model/finchling/model.safetensors"
ROWS = 64  # of a matrix of finchling


def weights(name: str) -> np.ndarray:
    if not name.startswith("model."):
        return quantize.weights(name)
    with safe_open(FINCHLING, "pt") as file:
        return np.ascontiguousarray(file.get_tensor(name)[:ROWS].float().numpy())


def importance(cols: int) -> np.ndarray:
    columns = quantize.gaussian(8, cols) ** 2 + 0.01
    columns[::32] *= 50
    return columns.astype(np.float32)


def rounded(lib: ctypes.CDLL, kind: T, w: np.ndarray, columns: np.ndarray | None) -> np.ndarray:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    rows, cols = w.shape
    blocks = np.zeros((rows, cols // block * size), np.uint8)
    pointers = [None if a is None else a.ctypes.data_as(ctypes.c_void_p) for a in (w, blocks, columns)]
    lib[FUNCTIONS[kind]](pointers[0], pointers[1], ctypes.c_int64(rows), ctypes.c_int64(cols), pointers[2])
    return gguf.quants.dequantize(blocks, kind).astype(np.float64)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    args.add_argument("--ggml", type=pathlib.Path, required=True)
    ggml = args.parse_args().ggml
    sets = []
    with tempfile.TemporaryDirectory() as folder:
        lib = quantize.compile_ggml(ggml, pathlib.Path(folder))
        for kind in (T.IQ2_XXS, T.IQ2_XS, T.IQ2_S):
            lib.iq2xs_init_impl(ctypes.c_int(kind))
        for entries in (256, 512):
            lib.iq3xs_init_impl(ctypes.c_int(entries))
        for name in ("gaussian", "heavy", "mixed", "model.layers.3.self_attn.q_proj.weight", "model.layers.5.mlp.down_proj.weight"):
            w = weights(name)
            columns = importance(w.shape[1])
            important, plain = {}, {}
            for kind in FUNCTIONS:
                squares = (rounded(lib, kind, w, columns) - w) ** 2
                important[kind.name.lower()] = float((squares * columns).sum() / (w.astype(np.float64) ** 2 * columns).sum())
            for kind in IQ:
                ones = np.ones(w.shape[1], np.float32) if kind in (T.IQ2_XXS, T.IQ2_XS) else None
                squares = (rounded(lib, kind, w, ones) - w) ** 2
                plain[kind.name.lower()] = float(squares.sum() / (w.astype(np.float64) ** 2).sum())
            sets.append({"name": name, "rows": w.shape[0], "cols": w.shape[1], "important": important, "plain": plain})
    json.dump(sets, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
