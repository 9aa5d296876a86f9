"""Makes model/gguf/testdata/split*.gguf: a small model by the PyPI package gguf, whole and as llama.cpp's llama-gguf-split splits it.

    pip install gguf numpy
    python tools/golden/split_files.py llama-gguf-split model/gguf/testdata
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFWriter


def main(program, folder):
    whole = folder / "split.gguf"
    rng = np.random.default_rng(1)
    w = GGUFWriter(whole, "llama")
    w.add_string("general.name", "split test")
    w.add_uint32("llama.block_count", 2)
    w.add_array("tokenizer.ggml.tokens", ["<s>", "a", "b"])
    for i, shape in enumerate([(3, 8), (8,), (8, 8), (5, 8), (3,)]):
        w.add_tensor(f"test.{i}", np.array(rng.random(shape), dtype=np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    subprocess.run([program, "--split", "--split-max-tensors", "2", whole, folder / "split"], check=True)


main(sys.argv[1], Path(sys.argv[2]))
