"""Writes the code books of ggml's IQ formats to kernels/grids.c, from the gguf package.

Each entry is 16 bits: eight indices of 2 bits or four of 4 bits, the first one lowest, into the values that unpack_iq.h
and unpack_iq.go name. Run from the repository root:
    python tools/grids/grids.py
"""

from pathlib import Path

import numpy as np
from gguf import quants

OUT = Path("kernels/grids.c")
HEAD = """// The code books of ggml's IQ formats, written by tools/grids/grids.py: eight indices of 2 bits or four of 4 bits in each entry.
#include "kernels.h"
"""
PER_LINE = 15


def entries(kind: type) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(kind.grid_hex.decode()), dtype="<u2")


def main() -> None:
    text = HEAD
    for kind in (quants.IQ1_S, quants.IQ2_XXS, quants.IQ2_XS, quants.IQ2_S, quants.IQ3_XXS, quants.IQ3_S):
        grid = entries(kind)
        assert len(grid) == kind.grid_shape[0]
        name = "iq1" if kind is quants.IQ1_S else kind.qtype.name.lower()  # iq1_m shares that of iq1_s
        text += f"\nconst uint16_t {name}_grid[{len(grid)}] = {{\n"
        for i in range(0, len(grid), PER_LINE):
            text += "    " + " ".join(f"0x{e:04x}," for e in grid[i : i + PER_LINE]) + "\n"
        text += "};\n"
    OUT.write_text(text)


if __name__ == "__main__":
    main()
