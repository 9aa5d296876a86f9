"""Small SentencePiece models for model/tokenizer, and what the library `sentencepiece` makes of the strings of tokenizer.py.

    pip install sentencepiece protobuf tokenizers
    python tools/golden/tokenizer_model.py TEXT... [--llama-cpp SOURCES]

Writes model/tokenizer/testdata/sentencepiece: NAME.model, trained on the texts (public-domain books) and the strings, and
NAME.ids.json, in the format of tokenizer.py. Control pieces are not found in text by this library, so strings that have one
are skipped. With llama.cpp's sources also llama-spm.ids.json, of the vocabulary of Llama 2 that they hold.
"""

import argparse
import io
import tempfile
from pathlib import Path

import sentencepiece as sp
from sentencepiece import sentencepiece_model_pb2 as pb

from tokenizer import OUT, compact, golden, hard_strings

RULES = [
    ("\ufb01", "fi"), ("\ufb02", "fl"), ("\u212b", "\u00c5"), ("e\u0301", "\u00e9"), ("\u00a0", " "), ("\u3000", " "), ("\t", " "), ("\u200b", ""),
    ("\u2460", "1"), ("\u00bd", " 1/2"), ("abcd", "dcba"), ("\u017f", "s"),
]

NORMAL, CONTROL, USER, UNUSED = 1, 3, 4, 5


def train(lines: list[str], **options) -> pb.ModelProto:
    """A model of some 600 pieces with the options that Llama 2's was trained with, unless others are given."""
    model = io.BytesIO()
    defaults = dict(
        model_type="bpe", vocab_size=700, byte_fallback=True, character_coverage=0.99, hard_vocab_limit=False, split_digits=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, add_dummy_prefix=True, unk_surface="<unk>", minloglevel=2, num_threads=1,
    )
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        for a, b in RULES:
            rules.write(" ".join(f"{ord(c):x}" for c in a) + "\t" + " ".join(f"{ord(c):x}" for c in b) + "\n")
        rules.flush()
        if options.pop("rules", False):
            options.update(normalization_rule_name="", normalization_rule_tsv=rules.name)
        sp.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, **(defaults | options))
    return pb.ModelProto.FromString(model.getvalue())


def unused(proto: pb.ModelProto, every: int) -> pb.ModelProto:
    """Marks some of the longer pieces as unused."""
    for i, p in enumerate(proto.pieces):
        if p.type == NORMAL and len(p.piece) > 2 and i % every == 0:
            p.type = UNUSED
    return proto


def small_models(lines: list[str]) -> dict[str, pb.ModelProto]:
    gemma = dict(pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", add_dummy_prefix=False)
    return {
        "llama": train(lines),
        "mistral": train(lines, control_symbols=["[INST]", "[/INST]", "[TOOL_CALLS]"]),
        "gemma": train(lines, user_defined_symbols=["\n\n", "\n\n\n", "▁▁", "▁▁▁▁", "<table>", "abcde", "[LEFT]"], control_symbols=["<start_of_turn>", "<end_of_turn>"], **gemma),
        "unused": unused(train(lines, byte_fallback=False), 3),
        "rules": train(lines, byte_fallback=False, remove_extra_whitespaces=True, rules=True, user_defined_symbols=["abcde", "[WORD]", "\ufb01"]),
        "unigram": train(lines, model_type="unigram", byte_fallback=False, vocab_size=600, remove_extra_whitespaces=True, rules=True, user_defined_symbols=["[BOTH]", "ab"]),
        "unigram-bytes": unused(train(lines, model_type="unigram"), 7),
    }


def library(proto: pb.ModelProto, strings: list[str]) -> dict:
    proc = sp.SentencePieceProcessor(model_proto=proto.SerializeToString())
    controls = [p.piece for i, p in enumerate(proto.pieces) if proc.is_control(i) or proc.is_unknown(i)]
    return golden(proc.encode, proc.decode, strings, skip=lambda s: any(c in s for c in controls))


def llama_spm(path: Path) -> pb.ModelProto:
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    proto = pb.ModelProto()
    for text, score, typ in zip(*(fields[f"tokenizer.ggml.{k}"].contents() for k in ("tokens", "scores", "token_type"))):
        proto.pieces.add(piece=text, score=score, type=typ)
    proto.trainer_spec.model_type, proto.trainer_spec.byte_fallback, proto.trainer_spec.unk_surface = pb.TrainerSpec.BPE, True, "<unk>"
    proto.normalizer_spec.name, proto.normalizer_spec.remove_extra_whitespaces = "identity", False
    return proto


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("texts", type=Path, nargs="+")
    args.add_argument("--llama-cpp", type=Path)
    args = args.parse_args()
    strings = hard_strings(2000)
    lines = [line for path in args.texts for line in path.read_text()[:200_000].splitlines() if line.strip()]
    lines += [w for s in strings[:400] for w in s.splitlines() if w.strip() and "\x00" not in w]
    folder = OUT / "sentencepiece"
    folder.mkdir(parents=True, exist_ok=True)
    for name, proto in small_models(lines).items():
        (folder / f"{name}.model").write_bytes(proto.SerializeToString())
        compact(folder / f"{name}.ids.json", library(proto, strings))
    if args.llama_cpp:
        compact(folder / "llama-spm.ids.json", library(llama_spm(args.llama_cpp / "models/ggml-vocab-llama-spm.gguf"), strings))


if __name__ == "__main__":
    main()
