"""Train finchling's tokenizer: byte-level BPE on the trained part of the corpus.

usage: python tokenizer.py --corpus DIR --out DIR
"""
import argparse
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from corpus import TEXTS, split

VOCAB = 4096
END = "<|endoftext|>"  # id 0: document separator, beginning of text and padding


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--corpus", type=pathlib.Path, required=True)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    args = ap.parse_args()
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [split(args.corpus / name)[0].decode() for name in TEXTS]
    # Paragraph-sized pieces, so that the trainer counts words, not whole books.
    tok.train_from_iterator((p for t in texts for p in t.splitlines(keepends=True)), trainer)
    args.out.mkdir(parents=True, exist_ok=True)
    tok.save(str(args.out / "tokenizer.json"))
    for name, t in zip(TEXTS, texts):
        ids = tok.encode(t).ids
        assert tok.decode(ids) == t, name
        print(f"{name}: {len(t.encode())} bytes, {len(ids)} tokens, {len(t.encode()) / len(ids):.3f} bytes per token")


if __name__ == "__main__":
    main()
