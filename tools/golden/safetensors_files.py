"""Makes model/safetensors/testdata: small files by the PyPI package safetensors, and what it reads from them as JSON.

    pip install safetensors torch
    python tools/golden/safetensors_files.py model/safetensors/testdata

dtypes.safetensors   a tensor of every type that torch has, scalars, empty tensors, names that need escapes
sharded/             two shards and their index
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

DTYPES = [
    "bool", "uint8", "int8", "float8_e5m2", "float8_e4m3fn", "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz",
    "int16", "uint16", "float16", "bfloat16", "int32", "uint32", "float32", "complex64", "float64", "int64", "uint64",
    "float4_e2m1fn_x2",
]


def raw(shape, dtype, generator):
    high = 2 if dtype == torch.bool else 256
    width = dtype.itemsize
    shape = (*shape[:-1], shape[-1] * width)
    return torch.randint(0, high, shape, dtype=torch.uint8, generator=generator).view(dtype)


def listing(path):
    with safe_open(path, "pt") as f:
        metadata = f.metadata()
        tensors = {
            name: {"dtype": f.get_slice(name).get_dtype(), "shape": f.get_slice(name).get_shape()}
            for name in f.keys()
        }
    for name, tensor in load_file(path).items():
        data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        tensors[name]["sha256"] = hashlib.sha256(data).hexdigest()
    return {"metadata": metadata, "tensors": tensors}


def main():
    out = Path(sys.argv[1])
    generator = torch.Generator().manual_seed(1)
    tensors = {f"test.{name}": raw((2, 3), getattr(torch, name), generator) for name in DTYPES}
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros((0, 4), dtype=torch.float16)
    tensors['Größe "鳥" \\ /\n\t\x01\u2028<&>'] = torch.arange(5, dtype=torch.int16)
    path = out / "dtypes.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    text = json.dumps(listing(path), indent=1, ensure_ascii=False)
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")

    folder = out / "sharded"
    folder.mkdir(exist_ok=True)
    shards = [
        {"model.embed_tokens.weight": torch.arange(12.0).reshape(4, 3), "model.norm.weight": torch.ones(3)},
        {"lm_head.weight": torch.zeros(4, 3, dtype=torch.bfloat16)},
    ]
    names = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    for name, shard in zip(names, shards):
        save_file(shard, folder / name, metadata={"format": "pt"})
    index = {
        "metadata": {"total_size": sum(t.nbytes for shard in shards for t in shard.values())},
        "weight_map": {tensor: name for name, shard in zip(names, shards) for tensor in shard},
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


main()
