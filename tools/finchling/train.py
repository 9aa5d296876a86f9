"""Train finchling on the CPU: Llama architecture, Muon for matrices, AdamW for the rest.

usage: python train.py --corpus DIR --tokenizer tokenizer.json --out DIR [--minutes 105]

The schedule is a function of the training time spent, not of a step count, so that the
budget is kept on any machine. A checkpoint every ten minutes; the same command resumes.
Muon: https://kellerjordan.github.io/posts/muon/
"""
import argparse
import json
import math
import pathlib
import time

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn

from corpus import TEXTS, split

VOCAB, HIDDEN, MLP, HEADS, KV_HEADS, HEAD_DIM, BLOCKS = 4096, 256, 768, 4, 2, 64, 12
CONTEXT, THETA, EPS = 512, 10000.0, 1e-5
WARMUP, MUON_LR, ADAM_LR, DECAY, FLOOR = 0.01, 0.02, 4e-3, 0.05, 0.02


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x):
        x = x.float()
        return (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * self.weight).bfloat16()


class Linear(nn.Module):
    """fp32 master weight, bf16 multiply."""

    def __init__(self, n_in, n_out, zero=False):
        super().__init__()
        w = torch.zeros(n_out, n_in) if zero else torch.randn(n_out, n_in) * n_in**-0.5
        self.weight = nn.Parameter(w)

    def forward(self, x):
        return F.linear(x, self.weight.bfloat16())


def attention(q, k, v, chunk=128):
    """Causal attention by chunks of queries, each against the keys it may see: about twice as fast on the CPU
    as scaled_dot_product_attention. q, k, v [batch, heads, tokens, head_dim]."""
    t = q.shape[-2]
    out = []
    for i in range(0, t, chunk):
        j = min(i + chunk, t)
        s = (q[:, :, i:j] @ k[:, :, :j].mT).float() * HEAD_DIM**-0.5
        mask = torch.arange(j)[None, :] > torch.arange(i, j)[:, None]
        p = s.masked_fill(mask, float("-inf")).softmax(-1).bfloat16()
        out.append(p @ v[:, :, :j])
    return torch.cat(out, 2)


def rotate(x, cos, sin):
    """Half-split rotary embedding, as Hugging Face lays it out. x [batch, heads, tokens, head_dim]."""
    x = x.float()
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).bfloat16()


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(), RMSNorm()
        self.q_proj = Linear(HIDDEN, HEADS * HEAD_DIM)
        self.k_proj = Linear(HIDDEN, KV_HEADS * HEAD_DIM)
        self.v_proj = Linear(HIDDEN, KV_HEADS * HEAD_DIM)
        self.o_proj = Linear(HEADS * HEAD_DIM, HIDDEN, zero=True)
        self.gate_proj = Linear(HIDDEN, MLP)
        self.up_proj = Linear(HIDDEN, MLP)
        self.down_proj = Linear(MLP, HIDDEN, zero=True)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        h = self.input_layernorm(x)
        q = rotate(self.q_proj(h).view(b, t, HEADS, HEAD_DIM).transpose(1, 2), cos, sin)
        k = rotate(self.k_proj(h).view(b, t, KV_HEADS, HEAD_DIM).transpose(1, 2), cos, sin)
        v = self.v_proj(h).view(b, t, KV_HEADS, HEAD_DIM).transpose(1, 2)
        k, v = (z.repeat_interleave(HEADS // KV_HEADS, 1) for z in (k, v))
        a = attention(q, k, v)
        x = x + self.o_proj(a.transpose(1, 2).reshape(b, t, HEADS * HEAD_DIM))
        h = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


class Finchling(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Parameter(torch.randn(VOCAB, HIDDEN) * 0.02)
        self.layers = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm = RMSNorm()
        freq = THETA ** (-torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM)
        angle = torch.arange(CONTEXT).float()[:, None] * freq
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def logits(self, ids):
        x = F.embedding(ids, self.embed_tokens)  # x [batch, tokens, hidden], residual stream in fp32
        for layer in self.layers:
            x = layer(x, self.cos[: ids.shape[1]], self.sin[: ids.shape[1]])
        return F.linear(self.norm(x), self.embed_tokens.bfloat16())

    def forward(self, ids, targets):
        """Summed negative log-likelihood in nats."""
        return F.cross_entropy(self.logits(ids).float().flatten(0, 1), targets.flatten(), reduction="sum")


def orthogonalize(g, steps=5):
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrix; batched over layers of one shape."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95, decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, decay=decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(tuple(p.shape), []).append(p)
            for shape, ps in shapes.items():
                g = torch.stack([p.grad for p in ps])
                state = self.state[ps[0]]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(g)
                m = state["momentum"]
                m.lerp_(g, 1 - group["momentum"])
                update = orthogonalize(g.lerp(m, group["momentum"]))
                scale = group["lr"] * max(1, shape[0] / shape[1]) ** 0.5
                for p, u in zip(ps, update):
                    p.mul_(1 - group["lr"] * group["decay"]).add_(u, alpha=-scale)


def windows(parts, rng):
    """Endless shuffled windows of CONTEXT + 1 tokens; each epoch starts at new random offsets."""
    while True:
        starts = []
        for i, ids in enumerate(parts):
            offset = torch.randint(CONTEXT, (1,), generator=rng).item()
            starts += [(i, s) for s in range(offset, len(ids) - CONTEXT, CONTEXT)]
        for j in torch.randperm(len(starts), generator=rng).tolist():
            i, s = starts[j]
            yield parts[i][s : s + CONTEXT + 1]


@torch.no_grad()
def bits_per_byte(model, held, limit=None):
    """Per text and over all, in non-overlapping windows of CONTEXT tokens. The first token of a window, which nothing
    predicts, is charged log2(VOCAB) bits. A last window of a single token is left out."""
    bits, size, out = 0.0, 0, {}
    for name, (ids, n_bytes) in held.items():
        if limit and len(ids) > limit:
            n_bytes, ids = n_bytes * limit / len(ids), ids[:limit]
        total = 0.0
        n = len(ids) // CONTEXT
        batches = list(ids[: n * CONTEXT].view(n, CONTEXT).split(32)) + ([ids[n * CONTEXT :][None]] if len(ids) % CONTEXT > 1 else [])
        for b in batches:
            total += F.cross_entropy(model.logits(b[:, :-1]).float().flatten(0, 1), b[:, 1:].flatten(), reduction="sum").item()
            total += b.shape[0] * math.log(VOCAB)
        total /= math.log(2)
        out[name] = total / n_bytes
        bits, size = bits + total, size + n_bytes
    return out, bits / size


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--corpus", type=pathlib.Path, required=True)
    ap.add_argument("--tokenizer", type=pathlib.Path, required=True)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    ap.add_argument("--minutes", type=float, default=105)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--steps", type=int, default=0, help="stop after so many steps (to measure speed)")
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    tok = Tokenizer.from_file(str(args.tokenizer))
    parts, held = [], {}
    for name in TEXTS:
        a, b = split(args.corpus / name)
        parts.append(torch.tensor(tok.encode(a.decode()).ids))
        held[name] = (torch.tensor(tok.encode(b.decode()).ids), len(b))
    model = Finchling()
    matrices = [p for p in model.layers.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2] + [model.embed_tokens]
    muon = Muon(matrices, lr=MUON_LR, decay=DECAY)
    adam = torch.optim.AdamW(others, lr=ADAM_LR, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
    rng = torch.Generator().manual_seed(1)
    step, spent, seen, curve = 0, 0.0, 0, []
    ckpt = args.out / "checkpoint.pt"
    if ckpt.exists():
        s = torch.load(ckpt)
        model.load_state_dict(s["model"])
        muon.load_state_dict(s["muon"])
        adam.load_state_dict(s["adam"])
        step, spent, seen, curve = s["step"], s["spent"], s["seen"], s["curve"]
        rng.manual_seed(1 + step)
    compiled = torch.compile(model)
    stream = windows(parts, rng)
    budget = args.minutes * 60

    def save():
        torch.save(dict(model=model.state_dict(), muon=muon.state_dict(), adam=adam.state_dict(),
                        step=step, spent=spent, seen=seen, curve=curve), str(ckpt) + ".tmp")
        pathlib.Path(str(ckpt) + ".tmp").rename(ckpt)

    print(f"{sum(p.numel() for p in model.parameters())} parameters, {sum(map(len, parts))} tokens to train on, "
          f"{sum(len(i) for i, _ in held.values())} held out", flush=True)
    loss_sum, next_save, last = 0.0, spent + 600, time.monotonic()
    while spent < budget and not (args.steps and step >= args.steps):
        x = torch.stack([next(stream) for _ in range(args.batch)])
        progress = spent / budget
        scale = min(1, (progress + 1e-3) / WARMUP) * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * progress)))
        for opt, lr in ((muon, MUON_LR), (adam, ADAM_LR)):
            for g in opt.param_groups:
                g["lr"] = lr * scale
        loss = compiled(x[:, :-1].contiguous(), x[:, 1:].contiguous()) / (args.batch * CONTEXT)
        loss.backward()
        muon.step()
        adam.step()
        muon.zero_grad()
        adam.zero_grad()
        loss_sum += loss.item()
        step, seen = step + 1, seen + args.batch * CONTEXT
        now = time.monotonic()
        spent, last = spent + now - last, now
        if step % 20 == 0:
            print(f"step {step} minutes {spent / 60:.1f} tokens {seen} loss {loss_sum / 20:.4f} lr {scale:.3f} "
                  f"tokens/s {seen / spent:.0f}", flush=True)
            loss_sum = 0.0
        if spent >= next_save:
            next_save = spent + 600
            _, bpb = bits_per_byte(model, held, 16384)
            curve.append(dict(minutes=round(spent / 60, 1), step=step, tokens=seen, train_nats=round(loss.item(), 4), held_out_bits_per_byte=round(bpb, 4)))
            print(json.dumps(curve[-1]), flush=True)
            save()
            last = time.monotonic()
    save()
    if args.steps:
        return
    per_text, bpb = bits_per_byte(model, held)
    result = dict(parameters=sum(p.numel() for p in model.parameters()), steps=step, minutes=round(spent / 60, 1), tokens_seen=seen,
                  held_out_bits_per_byte=bpb, per_text=per_text, curve=curve)
    (args.out / "result.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
