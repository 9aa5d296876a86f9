"""SmolLM2-135M-Instruct from its GGUF file as transformers and the Rust tokenizers library run it: shared by the
scripts beside it. The file is fetched by ../smollm2/fetch.sh."""
import hashlib
import os
import pathlib
import sys

import gguf
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTROL = 3  # tokenizer.ggml.token_type of special tokens


def default_path() -> pathlib.Path:
    """Where fetch.sh puts the file."""
    if os.environ.get("FINCH_SMOLLM2"):
        return pathlib.Path(os.environ["FINCH_SMOLLM2"])
    if sys.platform == "darwin":
        return pathlib.Path.home() / "Library/Caches/finch" / NAME
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "finch" / NAME


class File:
    """One GGUF file of the llama architecture."""

    def __init__(self, path: pathlib.Path):
        self.reader = gguf.GGUFReader(path)
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def get(self, key):
        return self.reader.fields[key].contents()

    def tokenizer(self) -> Tokenizer:
        """pre-tokenizer "smollm": every digit by itself, then GPT-2's pattern."""
        assert (self.get("tokenizer.ggml.model"), self.get("tokenizer.ggml.pre")) == ("gpt2", "smollm")
        tokens, types = self.get("tokenizer.ggml.tokens"), self.get("tokenizer.ggml.token_type")
        merges = [tuple(m.split(" ")) for m in self.get("tokenizer.ggml.merges")]
        tok = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
        tok.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
        )
        tok.decoder = decoders.ByteLevel()
        tok.add_special_tokens([AddedToken(t, normalized=False) for t, kind in zip(tokens, types) if kind == CONTROL])
        return tok

    def weights(self) -> dict[str, torch.Tensor]:
        """Every tensor dequantised to fp32, under its Hugging Face name and in Hugging Face's row order."""
        names = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
        parts = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
                 "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
                 "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
        heads = {"attn_q": self.get("llama.attention.head_count"), "attn_k": self.get("llama.attention.head_count_kv")}
        out = {}
        for t in self.reader.tensors:
            stem = t.name.removesuffix(".weight")
            w = torch.from_numpy(gguf.quants.dequantize(t.data, t.tensor_type).copy()).float()
            w = w.reshape(tuple(int(n) for n in reversed(t.shape)))
            if stem.startswith("blk."):
                _, block, part = stem.split(".")
                stem = f"model.layers.{block}.{parts[part]}"
                if part in heads:
                    # GGUF interleaves the two halves of a head for llama.cpp's RoPE: rows (i, half) back to (half, i).
                    rows, cols = w.shape
                    w = w.view(heads[part], rows // heads[part] // 2, 2, cols).transpose(1, 2).reshape(rows, cols)
            else:
                stem = names[stem]
            out[stem + ".weight"] = w.contiguous()
        out.setdefault("lm_head.weight", out["model.embed_tokens.weight"])
        return out

    def config(self) -> LlamaConfig:
        heads = self.get("llama.attention.head_count")
        return LlamaConfig(
            vocab_size=self.get("llama.vocab_size"),
            hidden_size=self.get("llama.embedding_length"),
            intermediate_size=self.get("llama.feed_forward_length"),
            num_hidden_layers=self.get("llama.block_count"),
            num_attention_heads=heads,
            num_key_value_heads=self.get("llama.attention.head_count_kv"),
            head_dim=self.get("llama.rope.dimension_count"),
            max_position_embeddings=self.get("llama.context_length"),
            rms_norm_eps=self.get("llama.attention.layer_norm_rms_epsilon"),
            rope_theta=self.get("llama.rope.freq_base"),
            tie_word_embeddings="output.weight" not in [t.name for t in self.reader.tensors],
            attn_implementation="eager",
        )

    def model(self) -> LlamaForCausalLM:
        """In fp32, eager attention."""
        model = LlamaForCausalLM(self.config()).float().eval()
        model.load_state_dict(self.weights())
        return model
