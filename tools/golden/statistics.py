"""Golden statistics: second moments of the inputs of every layer of a tiny Llama, of transformers' activations in float64.

usage: python statistics.py [--model DIR] [--out FILE]   (model/testdata/tiny-llama, evaluator/testdata/statistics.json)

`ids` [sequences, tokens]; for each of the `layers` its `name` and, of H = mean of xᵀx over all tokens: the diagonal `squares`,
`product` = H v with v = 1, -1/2, 1/3, -1/4, …, and `norm`, that of Frobenius.
"""
import argparse
import json
import pathlib

import torch
from transformers import AutoModelForCausalLM

REPO = pathlib.Path(__file__).resolve().parents[2]
NAMES = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up",
         "down_proj": "ffn_down"}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", type=pathlib.Path, default=REPO / "model/testdata/tiny-llama")
    ap.add_argument("--out", type=pathlib.Path, default=REPO / "evaluator/testdata/statistics.json")
    args = ap.parse_args()
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float64, attn_implementation="eager").eval()
    ids = torch.randint(model.config.vocab_size, (40, 32), generator=torch.Generator().manual_seed(3))

    inputs = {}
    for name, module in model.named_modules():
        parts = name.split(".")
        if parts[-1] in NAMES:
            layer = f"blk.{parts[2]}.{NAMES[parts[-1]]}"
            module.register_forward_hook(lambda _, x, __, layer=layer: inputs.update({layer: x[0].flatten(0, 1)}))
    with torch.no_grad():
        model(ids)

    layers = []
    for name, x in inputs.items():
        h = x.T @ x / len(x)
        n = torch.arange(1, len(h) + 1, dtype=torch.float64)
        v = (1 - 2 * ((n - 1) % 2)) / n
        layers.append(dict(name=name, squares=h.diag().tolist(), product=(h @ v).tolist(), norm=h.norm().item()))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(layer, separators=(",", ":")) for layer in layers)
    args.out.write_text(f'{{"ids":{json.dumps(ids.tolist(), separators=(",", ":"))},\n"layers":[\n{lines}\n]}}\n')
    print(f"{len(layers)} layers, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
