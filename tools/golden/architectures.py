#!/usr/bin/env python3
"""Tiny random models of every architecture that finch runs, with transformers' logits in fp32.

    architectures.py --llama-cpp DIR [--out model/testdata/architectures] [NAME...]

DIR is a source tree of llama.cpp, whose converter writes the same models as GGUF. Of each NAME there is a folder with
config.json, tokenizer.json and model.safetensors, as transformers' save_pretrained writes them but for the dtype bf16; NAME/model.gguf;
and NAME/logits.f32, little-endian float32 [48, 64], for the ids (7·i + i²) mod 64. All settings that an architecture has are on, and
texts are longer than windows and original contexts.
"""
import argparse
import json
import pathlib
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM

REPO = pathlib.Path(__file__).resolve().parents[2]
VOCAB, TOKENS = 64, 48
IDS = [(7 * i + i * i) % VOCAB for i in range(TOKENS)]

BASE = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=64, bos_token_id=0, eos_token_id=0, pad_token_id=None, tie_word_embeddings=False)
EXPERTS = dict(BASE, num_hidden_layers=2, num_experts_per_tok=2, moe_intermediate_size=32)
FACTORS = dict(short_factor=[1.0, 1.1, 1.3], long_factor=[1.0, 2.0, 5.0])

# name: (config class, settings)
MODELS = {
    "llama": ("LlamaConfig", dict(BASE, attention_bias=True, mlp_bias=True, head_dim=12, rope_parameters=dict(
        rope_type="llama3", rope_theta=5000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32))),
    "mistral": ("MistralConfig", dict(BASE, sliding_window=8)),
    "mixtral": ("MixtralConfig", dict(BASE, num_hidden_layers=2, intermediate_size=32, num_local_experts=4, num_experts_per_tok=2)),
    "qwen2": ("Qwen2Config", dict(BASE, tie_word_embeddings=True, rope_parameters=dict(
        rope_type="yarn", rope_theta=100.0, factor=4.0, original_max_position_embeddings=16))),
    "qwen2-moe": ("Qwen2MoeConfig", dict(EXPERTS, num_experts=5, shared_expert_intermediate_size=40)),
    "qwen3": ("Qwen3Config", dict(BASE, head_dim=12, use_sliding_window=True, sliding_window=8, max_window_layers=1)),
    "qwen3-moe": ("Qwen3MoeConfig", dict(EXPERTS, head_dim=12, num_experts=6, norm_topk_prob=True)),
    "phi3": ("Phi3Config", dict(BASE, original_max_position_embeddings=16, sliding_window=24, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75, original_max_position_embeddings=16, **FACTORS))),
    "gemma2": ("Gemma2Config", dict(BASE, tie_word_embeddings=True, head_dim=12, query_pre_attn_scalar=12, sliding_window=8,
                                    attn_logit_softcapping=2.0, final_logit_softcapping=3.0)),
    "gemma3": ("Gemma3TextConfig", dict(BASE, tie_word_embeddings=True, num_hidden_layers=7, intermediate_size=24, head_dim=12, query_pre_attn_scalar=12,
                                        sliding_window=8, rope_parameters=dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=5000.0),
                                                                               sliding_attention=dict(rope_type="default", rope_theta=100.0)))),
    "gpt2": ("GPT2Config", dict(vocab_size=VOCAB, n_embd=32, n_head=4, n_layer=2, n_positions=64, n_ctx=64, bos_token_id=0, eos_token_id=0)),
    "olmo2": ("Olmo2Config", dict(BASE)),
    "olmoe": ("OlmoeConfig", dict(BASE, num_hidden_layers=2, intermediate_size=32, num_key_value_heads=4, num_experts=4, num_experts_per_tok=2)),
    "starcoder2": ("Starcoder2Config", dict(BASE, sliding_window=20)),
}

# A byte-level BPE tokenizer of 62 characters and one merge. The models are given ids; files must have one.
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [{"id": 0, "content": "<|endoftext|>", "special": True}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"<|endoftext|>": 0} | {chr(ord("!") + i): i + 1 for i in range(VOCAB - 2)} | {"AB": VOCAB - 1}, "merges": ["A B"]},
}


def randomize(model, seed):
    """Weights with which every part matters: no norm is 1, no bias 0, and logits are far from flat."""
    rng = torch.Generator().manual_seed(seed)
    embeddings = {id(p) for m in model.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()}
    for name, p in sorted(model.named_parameters()):
        random = torch.randn(p.shape, generator=rng)
        if id(p) in embeddings:
            p.data = random
        elif p.ndim == 1:
            p.data = p.data.round() + 0.3 * random  # norms are 1 or, where they are stored less one, 0; biases are 0
        else:
            p.data = random * (1.7 * p.shape[-1] ** -0.5)
        p.data = p.data.to(torch.bfloat16)


def write_gguf(llama_cpp, folder):
    sys.path.insert(0, str(llama_cpp))
    sys.path.insert(0, str(llama_cpp / "gguf-py"))
    import gguf
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    architecture = get_model_architecture(ModelBase.load_hparams(folder, False), ModelType.TEXT)

    class Model(get_model_class(architecture)):
        model_arch = get_model_class(architecture).model_arch

        def set_vocab(self):
            w, vocab = self.gguf_writer, TOKENIZER["model"]["vocab"]
            w.add_tokenizer_model("gpt2")
            w.add_tokenizer_pre("gpt-2")
            w.add_token_list(list(vocab))
            w.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(vocab) - 1))
            w.add_token_merges(TOKENIZER["model"]["merges"])
            w.add_bos_token_id(0)
            w.add_eos_token_id(0)

        def set_gguf_parameters(self):
            super().set_gguf_parameters()
            # llama.cpp has no windows in these architectures, and its converter leaves them out. Finch writes the keys of others.
            if folder.name in ("mistral", "qwen3", "starcoder2"):
                self.gguf_writer.add_sliding_window(self.hparams["sliding_window"])
            if folder.name == "qwen3":
                self.gguf_writer.add_sliding_window_pattern([t == "sliding_attention" for t in self.hparams["layer_types"]])

    Model(folder, gguf.LlamaFileType.MOSTLY_BF16, folder / "model.gguf", eager=True, model_name=folder.name).write()


def write(folder, llama_cpp, name, seed):
    kind, settings = MODELS[name]
    config = getattr(transformers, kind)(**settings)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    randomize(model, seed)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER) + "\n")

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0]
    assert logits.isfinite().all() and logits.shape == (TOKENS, VOCAB)
    (folder / "logits.f32").write_bytes(logits.numpy().astype("<f4").tobytes())
    write_gguf(llama_cpp, folder)
    print(f"{name}: {sum(f.stat().st_size for f in folder.iterdir())} bytes, logits' standard deviation {logits.std():.2f}")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--llama-cpp", type=pathlib.Path, required=True)
    ap.add_argument("--out", type=pathlib.Path, default=REPO / "model/testdata/architectures")
    ap.add_argument("names", nargs="*")
    args = ap.parse_args()
    for i, name in enumerate(MODELS):
        if not args.names or name in args.names:
            write(args.out / name, args.llama_cpp, name, i)


if __name__ == "__main__":
    main()
