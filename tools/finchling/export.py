"""Turn a checkpoint of train.py into the shipped model, a Hugging Face Llama folder in bf16, and measure it.

usage: python export.py --checkpoint checkpoint.pt --tokenizer tokenizer.json --corpus DIR --card card.json [--out DIR]
                        [--limit TOKENS]     (out: model/finchling)

The folder is loaded again with transformers in fp32: its logits on a held-out window must agree with those of train.py's
model, which multiplies in bf16. Then the held-out bits per byte of what is shipped, and three samples, go to the card.
--limit measures so many tokens of each text, for a quick trial.
"""
import argparse
import json
import math
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save
from tokenizers import Tokenizer

from corpus import TEXTS, split
from train import BLOCKS, CONTEXT, EPS, HEAD_DIM, HEADS, HIDDEN, KV_HEADS, MLP, THETA, VOCAB, Finchling, bits_per_byte

CONFIG = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=MLP,
    num_hidden_layers=BLOCKS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=HEAD_DIM, hidden_act="silu",
    max_position_embeddings=CONTEXT, rope_theta=THETA, rms_norm_eps=EPS, tie_word_embeddings=True, attention_bias=False,
    mlp_bias=False, bos_token_id=0, eos_token_id=0, torch_dtype="bfloat16",
)
PROMPTS = ["In the beginning", "Call me Ishmael.", "Fellow citizens of the Senate and of the House of Representatives:"]
SAMPLE = dict(do_sample=True, temperature=0.8, top_p=0.95, top_k=0, max_new_tokens=120)
SEED = 1
REPO = pathlib.Path(__file__).resolve().parents[2]


def hugging_face_name(name: str) -> str:
    """layers.0.q_proj.weight -> model.layers.0.self_attn.q_proj.weight"""
    if name == "embed_tokens":
        name += ".weight"
    for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
        name = name.replace(f".{part}", f".self_attn.{part}")
    for part in ("gate_proj", "up_proj", "down_proj"):
        name = name.replace(f".{part}", f".mlp.{part}")
    return "model." + name


class Shipped:
    """The exported folder, with the one method that train.bits_per_byte calls."""

    def __init__(self, folder):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def logits(self, ids):
        return self.model(ids).logits


@torch.no_grad()
def compare(trained, shipped, ids):
    """train.py's model against the shipped one on one window."""
    p, q = (m.logits(ids[None])[0].float().log_softmax(-1) for m in (trained, shipped))
    kl = (q.exp() * (q - p)).sum(-1)
    return dict(mean_kl=kl.mean().item(), max_kl=kl.max().item(), same_top=(p.argmax(-1) == q.argmax(-1)).float().mean().item())


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--checkpoint", type=pathlib.Path, required=True)
    ap.add_argument("--tokenizer", type=pathlib.Path, required=True)
    ap.add_argument("--corpus", type=pathlib.Path, required=True)
    ap.add_argument("--card", type=pathlib.Path, required=True)
    ap.add_argument("--out", type=pathlib.Path, default=REPO / "model/finchling")
    ap.add_argument("--limit", type=int)
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    state = torch.load(args.checkpoint, map_location="cpu")
    trained = Finchling()
    trained.load_state_dict(state["model"])
    weights = {hugging_face_name(k): v.bfloat16().contiguous() for k, v in state["model"].items()}
    (args.out / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))
    (args.out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    shutil.copyfile(args.tokenizer, args.out / "tokenizer.json")

    tok = Tokenizer.from_file(str(args.out / "tokenizer.json"))
    held = {}
    for name in TEXTS:
        text = split(args.corpus / name)[1]
        held[name] = (torch.tensor(tok.encode(text.decode()).ids), len(text))
    shipped = Shipped(args.out)
    agreement = compare(trained, shipped, held[TEXTS[0]][0][:CONTEXT])
    print(json.dumps(agreement), flush=True)
    if agreement["mean_kl"] > 2e-3 or agreement["same_top"] < 0.95:
        raise SystemExit("export.py: the shipped model does not compute what train.py's model computes")

    samples = []
    torch.manual_seed(SEED)  # once: with the same noise every sample would lean to the same words
    for prompt in PROMPTS:
        ids = torch.tensor([tok.encode(prompt).ids])
        out = shipped.model.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=0, **SAMPLE)
        samples.append(tok.decode(out[0].tolist(), skip_special_tokens=False))
        print(samples[-1], end="\n\n", flush=True)

    per_text, overall = bits_per_byte(shipped, held, args.limit)
    tokens = sum(min(len(ids), args.limit or len(ids)) for ids, _ in held.values())
    card = dict(
        parameters=sum(v.numel() for v in weights.values()),
        bytes=(args.out / "model.safetensors").stat().st_size,
        steps=state["step"],
        minutes=round(state["spent"] / 60, 1),
        tokens_seen=state["seen"],
        curve=state["curve"],
        held_out=dict(
            engine=f"transformers {transformers.__version__}, fp32 on the bf16 weights",
            context=CONTEXT,
            tokens=tokens,
            first_token_bits=math.log2(VOCAB),
            bits_per_byte=overall,
            bits_per_byte_per_text=per_text,
        ),
        agreement_with_training=agreement,
        samples=dict(temperature=SAMPLE["temperature"], top_p=SAMPLE["top_p"], seed=SEED, texts=samples),
    )
    args.card.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(card["held_out"], indent=1))


if __name__ == "__main__":
    main()
