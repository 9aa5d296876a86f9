"""Makes model/gguf/testdata: small GGUF files by the PyPI package gguf, and what it reads from them as JSON.

    pip install gguf numpy
    python tools/golden/gguf_files.py model/gguf/testdata

values.gguf      every value type, arrays of every element type, a nested array, text beyond ASCII
tensors.gguf     a tensor of every ggml type, 0 to 4 dimensions, alignment 64
plain.gguf       default alignment, no tensors
big-endian.gguf  must be refused
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFEndian, GGUFReader, GGUFValueType, GGUFWriter

SCALARS = {
    GGUFValueType.UINT8: [0, 200],
    GGUFValueType.INT8: [-128, 127],
    GGUFValueType.UINT16: [0, 65535],
    GGUFValueType.INT16: [-32768, 32767],
    GGUFValueType.UINT32: [0, 2**32 - 1],
    GGUFValueType.INT32: [-(2**31), 2**31 - 1],
    GGUFValueType.FLOAT32: [1e-5, -3.25],
    GGUFValueType.UINT64: [0, 2**64 - 1],
    GGUFValueType.INT64: [-(2**63), 2**63 - 1],
    GGUFValueType.FLOAT64: [1e-300, 0.1],
    GGUFValueType.BOOL: [True, False],
    GGUFValueType.STRING: ["Geospiza magnirostris", "🐦 größer\n\0end"],
}


def save(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def values(path):
    w = GGUFWriter(path, "llama")
    w.add_string("general.name", "finch test")
    for kind, examples in SCALARS.items():
        for i, example in enumerate(examples):
            w.add_key_value(f"test.{kind.name.lower()}.{i}", example, kind)
        w.add_key_value(f"test.{kind.name.lower()}.array", examples, GGUFValueType.ARRAY, sub_type=kind)
    w.add_key_value("test.nested", [[1, 2, 3], [4]], GGUFValueType.ARRAY)
    w.add_tensor("token_embd.weight", np.arange(12, dtype=np.float32).reshape(3, 4))
    save(w)


def tensors(path):
    rng = np.random.default_rng(1)
    w = GGUFWriter(path, "llama")
    w.add_custom_alignment(64)
    for kind in GGMLQuantizationType:
        block, size = GGML_QUANT_SIZES[kind]
        if kind == GGMLQuantizationType.Q8_1:
            continue  # the package's size (40) is older than ggml's (36)
        data = rng.integers(0, 256, (3, 2 * size), dtype=np.uint8)
        w.add_tensor(f"test.{kind.name.lower()}", data, raw_shape=data.shape, raw_dtype=kind)
    for dims in range(5):
        shape = (2, 3, 4, 5)[:dims]
        w.add_tensor(f"test.{dims}d", np.array(rng.random(shape), dtype=np.float32))
    save(w)


def plain(path):
    w = GGUFWriter(path, "llama")
    w.add_uint32("llama.block_count", 2)
    save(w)


def big_endian(path):
    w = GGUFWriter(path, "llama", endianess=GGUFEndian.BIG)
    save(w)


def listing(path):
    """What the reader finds. The array of arrays is left out: the reader flattens it."""
    reader = GGUFReader(path)
    meta = []
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "test.nested":
            continue
        meta.append({
            "key": field.name,
            "types": [t.name.lower() for t in field.types],
            "value": field.contents(),
        })
    return {
        "alignment": int(reader.alignment),
        "meta": meta,
        "tensors": [
            {
                "name": t.name,
                "type": t.tensor_type.name.lower(),
                "dims": [int(d) for d in t.shape],
                "bytes": int(t.n_bytes),
                "at": int(t.data_offset),
                "sha256": hashlib.sha256(t.data.tobytes()).hexdigest(),
            }
            for t in reader.tensors
        ],
    }


def main():
    out = Path(sys.argv[1])
    for make in (values, tensors, plain, big_endian):
        path = out / (make.__name__.replace("_", "-") + ".gguf")
        make(path)
        if make is not big_endian:
            text = json.dumps(listing(path), indent=1, ensure_ascii=False)
            path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


main()
