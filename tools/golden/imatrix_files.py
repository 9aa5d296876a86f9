"""Makes model/imatrix/testdata: the same small importance matrix in both forms that llama.cpp writes, and its numbers as JSON.

    pip install gguf numpy
    python tools/golden/imatrix_files.py model/imatrix/testdata

sample.gguf  by the PyPI package gguf, as tools/imatrix/imatrix.cpp of llama.cpp lays it out
sample.dat   the older form
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

DATASETS = ["first.txt", "größer.txt"]
CHUNKS, CHUNK_SIZE = 3, 512
TOKENS = CHUNKS * CHUNK_SIZE


def main():
    folder = Path(sys.argv[1])
    rng = np.random.default_rng(1)
    squares = {f"blk.{b}.{layer}.weight": rng.gamma(0.5, 2, inputs).astype(np.float32)
               for b in range(2) for layer, inputs in (("attn_q", 8), ("ffn_down", 12))}
    squares["blk.1.ffn_down.weight"][3] = 0  # an input that is never used

    w = GGUFWriter(folder / "sample.gguf", "")
    w.add_string("general.type", "imatrix")
    w.add_array("imatrix.datasets", DATASETS)
    w.add_uint32("imatrix.chunk_count", CHUNKS)
    w.add_uint32("imatrix.chunk_size", CHUNK_SIZE)
    for name, values in squares.items():
        w.add_tensor(name + ".in_sum2", (values * TOKENS).reshape(1, -1))
        w.add_tensor(name + ".counts", np.float32([[TOKENS]]))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()

    with open(folder / "sample.dat", "wb") as out:
        out.write(struct.pack("<i", len(squares)))
        for name, values in squares.items():
            out.write(struct.pack("<i", len(name)) + name.encode())
            out.write(struct.pack("<ii", CHUNKS, len(values)) + (values * CHUNKS).astype("<f4").tobytes())
        dataset = DATASETS[-1].encode()
        out.write(struct.pack("<ii", CHUNKS, len(dataset)) + dataset)

    (folder / "sample.json").write_text(json.dumps(dict(
        datasets=DATASETS, chunks=CHUNKS, chunk_size=CHUNK_SIZE, tokens=TOKENS,
        squares={name: [float(v) for v in values] for name, values in squares.items()}), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
