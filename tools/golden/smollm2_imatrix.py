"""Golden importance matrix of SmolLM2, by llama.cpp's llama-imatrix on the calibration text.

usage: python tools/golden/smollm2_imatrix.py LLAMA_IMATRIX MODEL.gguf > cmd/testdata/smollm2_imatrix.json

Needs the PyPI package gguf. For each layer the mean squares of its inputs, averaged over 16 equal runs of them; layers with the inputs of
another are left out.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from gguf import GGUFReader

TEXT = pathlib.Path(__file__).resolve().parents[2] / "model/finchling/calibration.txt"
CONTEXT, CHUNKS, RUNS = 512, 8, 16
KINDS = ("attn_q", "attn_output", "ffn_gate", "ffn_down")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "imatrix.gguf")
        subprocess.run([sys.argv[1], "-m", sys.argv[2], "-f", TEXT, "-c", str(CONTEXT), "--chunks", str(CHUNKS), "-t", "2", "-o", path],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tensors = {t.name: np.array(t.data, np.float64).ravel() for t in GGUFReader(path).tensors}
    squares = {}
    for name, sums in tensors.items():
        if name.endswith(".in_sum2") and name.split(".")[2] in KINDS:
            name = name.removesuffix(".in_sum2")
            means = (sums / tensors[name + ".counts"][0]).reshape(RUNS, -1).mean(1)
            squares[name] = [float(f"{v:.6g}") for v in means]
    lines = ",\n".join(f'"{name}": {json.dumps(squares[name])}' for name in sorted(squares))
    print(f'{{"context": {CONTEXT}, "chunks": {CHUNKS}, "squares": {{\n{lines}\n}}}}')


if __name__ == "__main__":
    main()
