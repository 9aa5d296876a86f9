"""Golden perplexity: SmolLM2 on WikiText-2's test text, by llama.cpp's rules but run by transformers in fp32.

usage: python perplexity.py --text wikitext2-test.raw [--model FILE] [--chunks 20] [--out DIR]     (DIR: model/testdata)

llama.cpp: the tokens of the whole file are cut into chunks of 512 that do not overlap; in each chunk the positions from
256 on predict the tokens 257 … 511 (255 scored tokens per chunk); a BOS replaces the first token of a chunk only for
models that add one, which SmolLM2 does not.
"""
import argparse
import hashlib
import json
import math
import pathlib

import numpy as np
import torch

import smollm2

CONTEXT = 512
FIRST = CONTEXT // 2
REPO = pathlib.Path(__file__).resolve().parents[2]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--text", type=pathlib.Path, required=True)
    ap.add_argument("--model", type=pathlib.Path, default=smollm2.default_path())
    ap.add_argument("--chunks", type=int, default=20)
    ap.add_argument("--out", type=pathlib.Path, default=REPO / "model/testdata")
    args = ap.parse_args()
    file = smollm2.File(args.model)
    assert not file.get("tokenizer.ggml.add_bos_token")
    data = args.text.read_bytes()
    tokens = file.tokenizer().encode(data.decode()).ids
    used = tokens[: args.chunks * CONTEXT]
    assert len(used) == args.chunks * CONTEXT
    model = file.model()
    chunk_nll = []
    for chunk in torch.tensor(used).view(args.chunks, CONTEXT):
        with torch.no_grad():
            hidden = model.model(chunk[None]).last_hidden_state[0, FIRST : CONTEXT - 1]
            logp = model.lm_head(hidden).double().log_softmax(-1)
        chunk_nll.append(-logp.gather(1, chunk[FIRST + 1 :, None]).sum().item())
        print(f"[{len(chunk_nll)}] {math.exp(sum(chunk_nll) / len(chunk_nll) / (CONTEXT - 1 - FIRST)):.4f}", flush=True)
    scored = args.chunks * (CONTEXT - 1 - FIRST)
    record = dict(
        model=smollm2.NAME,
        model_sha256=file.sha256,
        text=args.text.name,
        text_sha256=hashlib.sha256(data).hexdigest(),
        text_tokens=len(tokens),
        context=CONTEXT,
        chunks=args.chunks,
        # Of the chunks' ids as little-endian int32.
        ids_sha256=hashlib.sha256(np.array(used, "<i4").tobytes()).hexdigest(),
        first_ids=used[:16],
        scored_tokens=scored,
        # Summed over the scored tokens of each chunk, in nats.
        chunk_nll=chunk_nll,
        mean_nll=sum(chunk_nll) / scored,
        perplexity=math.exp(sum(chunk_nll) / scored),
    )
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "smollm2_wikitext.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({k: v for k, v in record.items() if k != "chunk_nll"}, indent=1))


if __name__ == "__main__":
    main()
