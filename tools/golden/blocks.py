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
    "IQ4_XS": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ1_S": [0], "IQ1_M": [48],
    "TQ1_0": [52], "TQ2_0": [64], "Q1_0": [0], "Q2_0": [0], "MXFP4": [], "NVFP4": [], "Q8_K": [0],
}

# Formats of ggml that the package cannot read: weights and bytes of a block, and what ggml-quants.c reads from blocks.
OTHER = {
    "Q1_0": (128, 18, lambda d, b: np.where(np.unpackbits(b[:, 2:], axis=1, bitorder="little"), d, -d)),
    "Q2_0": (64, 18, lambda d, b: d * ((b[:, 2:, None] >> np.arange(0, 8, 2) & 3).reshape(len(b), 64) - np.float32(1))),
    "Q8_K": (256, 292, lambda d, b: b[:, :4].copy().view("<f4") * b[:, 4:260].view(np.int8)),
}


def layout(name: str) -> tuple[int, int]:
    return OTHER[name][:2] if name in OTHER else GGML_QUANT_SIZES[GGMLQuantizationType[name]]


def blocks(name: str, rng: np.random.Generator) -> np.ndarray:
    weights, size = layout(name)
    count = WEIGHTS // weights
    if name in ("F32", "F16"):
        values = rng.standard_normal(WEIGHTS).astype({"F32": np.float32, "F16": np.float16}[name])
        values[:8] = [0, -0.0, 65504, -65504, 6e-8, -6e-5, np.inf, -np.inf]  # f16's largest, subnormals, infinities
        return values.view(np.uint8)
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for offset in SCALES.get(name, []):
        scales = (rng.standard_normal(count) * 0.05).astype(np.float16)
        scales[0] = np.float16(3e-7)  # subnormal
        scales[1] = np.float16(65504)
        if name == "IQ1_M":  # four bits at the top of each of four 16-bit numbers
            raw[:, 49::2] = raw[:, 49::2] & 15 | (scales.view(np.uint16)[:, None] >> np.arange(0, 16, 4) & 15) << 4
        elif name == "Q8_K":
            raw[:, :4] = scales.astype("<f4").view(np.uint8).reshape(count, 4)
        else:
            raw[:, offset : offset + 2] = scales.view(np.uint8).reshape(count, 2)
    if name == "MXFP4":
        raw[:4, 0] = [0, 1, 2, 255]  # the smallest scales are subnormal
    if name == "NVFP4":
        raw[:2, :4] = [[0, 1, 0x7F, 0x80], [0x7E, 0xFF, 7, 8]]  # zero, subnormal, NaN, and bits that mean nothing
    if name == "BF16":
        raw[:, 1] &= 0xBF  # exponents below 128: no NaN
    return raw.reshape(-1)


def read(name: str, raw: np.ndarray) -> np.ndarray:
    if name not in OTHER:
        return dequantize(raw, GGMLQuantizationType[name])
    _, size, weights = OTHER[name]
    b = raw.reshape(-1, size)
    return weights(b[:, :2].copy().view("<f2").astype(np.float32), b)


def main() -> None:
    rng = np.random.default_rng(20260101)
    OUT.mkdir(parents=True, exist_ok=True)
    for name in ["F32", "F16", "BF16", *SCALES]:
        raw = blocks(name, rng)
        with np.errstate(over="ignore"):
            weights = read(name, raw).astype("<f4").reshape(-1)
        assert weights.size == WEIGHTS
        (OUT / f"{name.lower()}.bin").write_bytes(raw.tobytes() + weights.tobytes())


if __name__ == "__main__":
    main()
