"""Golden logits: SmolLM2 from its GGUF file and two tiny random Llamas in safetensors, run by transformers in fp32.

usage: python logits.py [--model FILE] [--out DIR]     (DIR: model/testdata)

SmolLM2 (DIR/smollm2_logits.json.gz): `text` and its token `ids`; `nll` in nats of ids[1:]; at some `positions` the
logsumexp, the 64 largest logits and the logits at the 64 `vocab_ids`. DIR/smollm2_logits.f32.gz holds all logits at
`full_positions`, little-endian float32 [2, 49152], so that a test can compute KL over the whole vocabulary.
Tiny (DIR/tiny-llama, DIR/tiny-llama-tied): config.json, model.safetensors and logits.json, `ids` [40] and `logits`
[40, 96]. Every model is run in float64 too, by a forward pass written out below, and the distance is printed.
"""
import argparse
import gzip
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from transformers import AutoModelForCausalLM

import smollm2

TEXT = """The finches of the Galápagos differ in their beaks: on each island the seed is another, and so is the bill that \
cracks it. "How many species are there?" asked FitzRoy in 1835; he couldn't count above 13.

def fibonacci(n: int) -> list[int]:
    a, b, out = 0, 1, []
    while len(out) < n:
        out.append(a)  # first 0
        a, b = b, a + b
    return out
"""
TOKENS = 96
FULL = [40, 95]
REPO = pathlib.Path(__file__).resolve().parents[2]


def forward64(w, config, ids):
    """Logits [tokens, vocab] of a Llama in float64 throughout, straight from the definition."""
    w = {k: v.double() for k, v in w.items()}
    heads, kv_heads, dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    t = len(ids)
    theta = config.rope_parameters["rope_theta"]
    angle = torch.arange(t).double()[:, None] * theta ** (-torch.arange(0, dim, 2).double() / dim)
    cos, sin = angle.cos(), angle.sin()

    def norm(x, weight):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + config.rms_norm_eps) * weight

    def split(x, n):  # [heads, tokens, head_dim]
        return x.view(t, n, dim).transpose(0, 1)

    def rotate(x):
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    x = w["model.embed_tokens.weight"][ids]
    for i in range(config.num_hidden_layers):
        layer = {k.removeprefix(f"model.layers.{i}.").removesuffix(".weight"): v for k, v in w.items() if k.startswith(f"model.layers.{i}.")}
        h = norm(x, layer["input_layernorm"])
        q = rotate(split(h @ layer["self_attn.q_proj"].T, heads))
        k = rotate(split(h @ layer["self_attn.k_proj"].T, kv_heads)).repeat_interleave(heads // kv_heads, 0)
        v = split(h @ layer["self_attn.v_proj"].T, kv_heads).repeat_interleave(heads // kv_heads, 0)
        s = (q @ k.mT * dim**-0.5).masked_fill(torch.ones(t, t).triu(1).bool(), -math.inf)
        x = x + (s.softmax(-1) @ v).transpose(0, 1).reshape(t, heads * dim) @ layer["self_attn.o_proj"].T
        h = norm(x, layer["post_attention_layernorm"])
        x = x + (F.silu(h @ layer["mlp.gate_proj"].T) * (h @ layer["mlp.up_proj"].T)) @ layer["mlp.down_proj"].T
    head = w.get("lm_head.weight", w["model.embed_tokens.weight"])
    return norm(x, w["model.norm.weight"]) @ head.T


def report_distance(name, logits, exact):
    """How far the fp32 logits are from the float64 ones."""
    logp, logq = exact.log_softmax(-1), logits.double().log_softmax(-1)
    kl = (logp.exp() * (logp - logq)).sum(-1)
    print(f"{name}: fp32 against float64: |logit| differs by at most {(logits - exact).abs().max():.2e} (logits' standard deviation "
          f"{exact.std():.2f}), KL per token at most {kl.max():.2e}, log-probability by at most {(logp - logq).abs().max():.2e}")


def write_gz(path, data):
    """No time stamp and no name inside: the same content is the same file."""
    path.write_bytes(gzip.compress(data, 9, mtime=0))
    print(f"{path.name}: {path.stat().st_size} bytes")


def write_smollm2(path, out):
    file = smollm2.File(path)
    ids = file.tokenizer().encode(TEXT).ids
    assert len(ids) >= TOKENS, len(ids)
    ids = ids[:TOKENS]
    model = file.model()
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
        report_distance("smollm2", logits, forward64(file.weights(), model.config, ids))
    lse = logits.double().logsumexp(-1)
    nll = lse[:-1] - logits.double()[torch.arange(TOKENS - 1), ids[1:]]
    vocab_ids = sorted(np.random.default_rng(1).choice(logits.shape[1], 64, replace=False).tolist())
    positions = []
    for p in [0, 1, 2, 3, 7, 15, 23, 31, 39, 47, 55, 63, 71, 79, 87, 95]:
        top = logits[p].topk(64)
        positions.append(dict(position=p, logsumexp=lse[p].item(), top_ids=top.indices.tolist(), top_logits=top.values.tolist(),
                              logits=logits[p, vocab_ids].tolist()))
    record = dict(model=smollm2.NAME, sha256=file.sha256, text=TEXT, ids=ids, nll=nll.tolist(), vocab_ids=vocab_ids,
                  positions=positions, full_positions=FULL)
    write_gz(out / "smollm2_logits.json.gz", json.dumps(record, separators=(",", ":")).encode())
    write_gz(out / "smollm2_logits.f32.gz", logits[FULL].numpy().astype("<f4").tobytes())
    print(f"smollm2: mean NLL {nll.mean():.4f} nats over {TOKENS - 1} tokens")


def write_tiny(folder, config, dtype, seed):
    """A random Llama with weights large enough that the logits are far from flat."""
    rng = torch.Generator().manual_seed(seed)
    hidden, mlp, dim = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]

    def matrix(rows, cols, gain):
        return torch.randn(rows, cols, generator=rng) * gain * cols**-0.5

    def gain(n):
        return 1 + 0.2 * torch.randn(n, generator=rng)

    w = {"model.embed_tokens.weight": matrix(config["vocab_size"], hidden, 4)}
    for i in range(config["num_hidden_layers"]):
        p = f"model.layers.{i}."
        w |= {
            p + "input_layernorm.weight": gain(hidden),
            p + "self_attn.q_proj.weight": matrix(heads * dim, hidden, 1.5),
            p + "self_attn.k_proj.weight": matrix(kv_heads * dim, hidden, 1.5),
            p + "self_attn.v_proj.weight": matrix(kv_heads * dim, hidden, 1),
            p + "self_attn.o_proj.weight": matrix(hidden, heads * dim, 1),
            p + "post_attention_layernorm.weight": gain(hidden),
            p + "mlp.gate_proj.weight": matrix(mlp, hidden, 1.5),
            p + "mlp.up_proj.weight": matrix(mlp, hidden, 1),
            p + "mlp.down_proj.weight": matrix(hidden, mlp, 1),
        }
    w["model.norm.weight"] = gain(hidden)
    if not config["tie_word_embeddings"]:
        w["lm_head.weight"] = matrix(config["vocab_size"], hidden, 3)
    w = {k: v.to(dtype) for k, v in w.items()}
    ids = torch.randint(config["vocab_size"], (40,), generator=rng).tolist()

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(save(w, metadata={"format": "pt"}))
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
        report_distance(folder.name, logits, forward64(w, model.config, ids))
    # The shortest decimals that read back as the same float32.
    rows = [",".join(str(x) for x in row) for row in logits.numpy()]
    (folder / "logits.json").write_text(f'{{"ids":{json.dumps(ids)},\n"logits":[\n' + ",\n".join(f"[{r}]" for r in rows) + "\n]}\n")
    print(f"{folder.name}: {sum(f.stat().st_size for f in folder.iterdir())} bytes")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", type=pathlib.Path, default=smollm2.default_path())
    ap.add_argument("--out", type=pathlib.Path, default=REPO / "model/testdata")
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    common = dict(architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=96, hidden_size=64, num_hidden_layers=2,
                  num_attention_heads=4, hidden_act="silu", max_position_embeddings=128, rms_norm_eps=1e-5,
                  bos_token_id=1, eos_token_id=2, attention_bias=False, mlp_bias=False)
    # config.json in the two dialects: rope_theta and torch_dtype up to transformers 4, rope_parameters and dtype since 5.
    write_tiny(args.out / "tiny-llama", common | dict(intermediate_size=160, num_key_value_heads=2, head_dim=16, rope_theta=10000.0,
               tie_word_embeddings=False, torch_dtype="float32"), torch.float32, 1)
    write_tiny(args.out / "tiny-llama-tied", common | dict(intermediate_size=64, num_key_value_heads=1, head_dim=24,
               rope_parameters=dict(rope_theta=5000.0, rope_type="default"), tie_word_embeddings=True, dtype="bfloat16"), torch.bfloat16, 2)
    write_smollm2(args.model, args.out)


if __name__ == "__main__":
    main()
