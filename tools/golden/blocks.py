"""Golden blocks for kernels: random bytes of every format and what the gguf package reads from them.

Writes kernels/testdata/FORMAT.bin: the blocks, then their weights as little-endian float32. Run from the repository root:
    python tools/golden/blocks.py
"""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

OUT = Path("kernels/testdata")
WEIGHTS = 1024

# Offsets of the f16 scales in a block: random bytes there would be NaN or huge, so they get ordinary values.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}


def blocks(name: str, rng: np.random.Generator) -> np.ndarray:
    weights, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    count = WEIGHTS // weights
    if name in ("F32", "F16"):
        values = rng.standard_normal(WEIGHTS).astype({"F32": np.float32, "F16": np.float16}[name])
        values[:8] = [0, -0.0, 65504, -65504, 6e-8, -6e-5, np.inf, -np.inf]  # f16's largest, subnormals, infinities
        return values.view(np.uint8)
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for offset in SCALES.get(name, []):
        scales = (rng.standard_normal(count) * 0.05).astype(np.float16)
        scales[0] = np.float16(3e-7)  # subnormal
        raw[:, offset : offset + 2] = scales.view(np.uint8).reshape(count, 2)
    if name == "BF16":
        raw[:, 1] &= 0xBF  # exponents below 128: no NaN
    return raw.reshape(-1)


def main() -> None:
    rng = np.random.default_rng(20260101)
    OUT.mkdir(parents=True, exist_ok=True)
    for name in ["F32", "F16", "BF16", *SCALES]:
        raw = blocks(name, rng)
        weights = dequantize(raw, GGMLQuantizationType[name]).astype("<f4").reshape(-1)
        assert weights.size == WEIGHTS
        (OUT / f"{name.lower()}.bin").write_bytes(raw.tobytes() + weights.tobytes())


if __name__ == "__main__":
    main()
