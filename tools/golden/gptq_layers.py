"""Golden errors for GPTQ and SparseGPT on three layers of finchling, from a plain PyTorch float64 implementation.

usage: python tools/golden/gptq_layers.py FINCH > experiment/testdata/gptq_layers.json

Needs torch, transformers, tokenizers, safetensors and numpy; FINCH is the built command. The second moments are those of transformers'
activations in float64, the algorithms those of gptq.py. For q4_k, whose scales finch searches, the scales are taken from what
FINCH makes: what is compared is how their codes are filled in.
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from gptq import gptq, inverse_factor, relative_error, searched_grid, sparsegpt

FINCHLING = pathlib.Path(__file__).resolve().parents[2] / "model/finchling"
TOKENS, SEQUENCE = 4096, 512
LAYERS = {"blk.0.attn_q": (0, "self_attn.q_proj"), "blk.5.ffn_up": (5, "mlp.up_proj"), "blk.11.ffn_down": (11, "mlp.down_proj")}
EXPERIMENT = f"""
[[experiment]]
name       = "given"
levels     = ["gptq-q4_k", "q8_0"]
budget     = {{ bits_per_weight = 5.0 }}
statistics = {{ tokens = {TOKENS}, sequence = {SEQUENCE} }}
"""


def q4_k_grids(finch: str) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """low and step of every weight of the layers at gptq-q4_k."""
    grids = {}
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "experiments.toml").write_text(EXPERIMENT)
        subprocess.run([finch, "levels", "build"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for path in pathlib.Path(folder, "finch.levels").glob("*.level"):
            data = path.read_bytes()
            length = struct.unpack_from("<I", data, 12)[0]
            header = json.loads(data[20 : 20 + length])
            if header["layer"] in LAYERS and header["level"] == "gptq-q4_k":
                blocks = np.frombuffer(data[-header["bytes"] :], np.uint8).reshape(-1, 144)
                scales = blocks[:, :4].copy().view(np.float16).astype(np.float64)
                packed = blocks[:, 4:16].astype(np.int64)
                low6, high6 = packed[:, :4], packed[:, 4:8]
                s = np.concatenate([low6 & 63, packed[:, 8:] & 15 | low6 >> 6 << 4], 1)
                m = np.concatenate([high6 & 63, packed[:, 8:] >> 4 | high6 >> 6 << 4], 1)
                spread = lambda x: torch.from_numpy(np.repeat(x, 32, 1).reshape(header["rows"], header["cols"]))
                grids[header["layer"]] = spread(-scales[:, 1:] * m), spread(scales[:, :1] * s)
    return grids


def fill(w: torch.Tensor, h: torch.Tensor, low: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """GPTQ with grids that are given."""
    u, w = inverse_factor(h), w.clone()
    w[:, torch.diag(h) == 0] = 0
    out = torch.empty_like(w)
    for i in range(w.shape[1]):
        code = torch.where(step[:, i] > 0, ((w[:, i] - low[:, i]) / step[:, i]).round().clamp(0, 15), 0.0)
        out[:, i] = low[:, i] + step[:, i] * code
        w[:, i:] -= torch.outer((w[:, i] - out[:, i]) / u[i, i], u[i, i:])
    return out


def main() -> None:
    model = AutoModelForCausalLM.from_pretrained(FINCHLING, dtype=torch.float64, attn_implementation="eager").eval()
    text = (FINCHLING / "calibration.txt").read_text()
    ids = Tokenizer.from_file(str(FINCHLING / "tokenizer.json")).encode(text, add_special_tokens=False).ids[:TOKENS]
    inputs, linears = {}, {}
    for layer, (block, name) in LAYERS.items():
        linears[layer] = model.model.layers[block].get_submodule(name)
        linears[layer].register_forward_hook(lambda _, x, __, layer=layer: inputs.update({layer: x[0].flatten(0, 1)}))
    grids, errors = q4_k_grids(sys.argv[1]), {}
    with torch.no_grad():
        model(torch.tensor(ids).reshape(-1, SEQUENCE))
        for layer, linear in linears.items():
            w, x = linear.weight.detach(), inputs[layer]
            h = x.T @ x / len(x)
            errors[layer] = {
                "gptq-int3-g64": relative_error(w, gptq(w, h, 64, lambda x, weight: searched_grid(x, 3, False, weight), 7), h),
                "gptq-q4_k": relative_error(w, fill(w, h, *grids[layer]), h),
                "sparsegpt-0.60": relative_error(w, sparsegpt(w, h, 0.6), h),
            }
    json.dump({"tokens": TOKENS, "sequence": SEQUENCE, "errors": errors}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
