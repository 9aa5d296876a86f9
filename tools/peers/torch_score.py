"""What PyTorch needs for finch's scoring on this CPU: SmolLM2 in bf16, each token's NLL and full-vocabulary KL(base ‖ model).

usage: python torch_score.py [--model FILE] [--base FILE] [--text FILE] [--sequences 16] [--threads N] [--profile]
           [--mode eager compiled] [--attention sdpa eager] [--targets kept recomputed] [--batch 1 2 4]

Sequences of 512 consecutive tokens of the text go through the model. What KL needs of the base, which is the model itself
unless --base names another file, is prepared before the clock starts. Tried is every combination of the last four options:
eager execution, or torch.compile with frozen weights, which needs a C++ compiler; the fused attention, or transformers'
written-out one; the base's probabilities kept in bf16, or recomputed from its hidden states as finch does; sequences
per batch. Prints JSON: tokens_per_second of the best pass of the best variant, and of each variant; nll and kl, in nats per
token, over every position; and ppl_second_half and kl_second_half, over the positions that `finch eval` counts. Progress goes
to stderr. Needs torch, transformers, tokenizers and gguf.
"""
import argparse
import itertools
import json
import os
import pathlib
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
# Libraries read these as they are loaded. glibc would return the memory of every large tensor to the system, and the next one
# would fault its pages in again; huge pages are the same matter. An OPENBLAS_CORETYPE may name a lesser CPU.
ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": str(1 << 33), "MALLOC_MMAP_THRESHOLD_": str(1 << 33), "MALLOC_TOP_PAD_": str(1 << 28),
               "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "TORCHINDUCTOR_FREEZING": "1"}
FOREIGN = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
if any(k in os.environ for k in FOREIGN) or any(k not in os.environ for k in ENVIRONMENT):
    clean = {k: v for k, v in os.environ.items() if k not in FOREIGN}
    os.execve(sys.executable, [sys.executable, *sys.argv], clean | ENVIRONMENT)

import torch
import torch.nn.functional as F

sys.path.insert(0, str(REPO / "tools/golden"))
import smollm2

SEQUENCE = 512
ROWS = 128  # positions whose logits are held at a time: 25 MB in fp32


def load(path):
    """The file's tokenizer, and its model with parameters in bf16; rotary frequencies stay in fp32."""
    file = smollm2.File(path)
    model = file.model()
    for p in model.parameters():
        p.data = p.data.bfloat16()
    return file.tokenizer(), model


def states(model, x):
    """States after the final norm [batch · SEQUENCE, hidden] of x [batch, SEQUENCE]."""
    return model.model(x, use_cache=False).last_hidden_state.flatten(0, 1)


class Kept:
    """The base's probabilities, rounded to bf16.

    With p̃ as rounded, KL is taken to be Σ p̃·log p − Σ p̃·z + Σ p̃ · lse(z) over the logits z of the model: its error is
    Σ (p̃ − p)(log p − log q), and z is read once."""

    def __init__(self, base, x):
        logp = [base.lm_head(h).float().log_softmax(-1) for h in states(base, x).split(ROWS)]
        kept = [lp.exp().bfloat16() for lp in logp]
        self.p = torch.cat(kept)
        self.neg_entropy = torch.cat([(p.float() * lp).sum(-1) for p, lp in zip(kept, logp)])
        self.mass = torch.cat([p.float().sum(-1) for p in kept])

    def tensors(self):
        return self.p, self.neg_entropy, self.mass

    @staticmethod
    def kl(head, z, lse, p, neg_entropy, mass):
        return neg_entropy - (p * z).sum(-1) + mass * lse


class Recomputed:
    """The base's states and logsumexp; its logits are computed again from them."""

    def __init__(self, base, x):
        self.hidden = states(base, x)
        self.lse = torch.cat([base.lm_head(h).float().logsumexp(-1) for h in self.hidden.split(ROWS)])

    def tensors(self):
        return self.hidden, self.lse

    @staticmethod
    def kl(head, z, lse, hidden, base_lse):
        logp = F.linear(hidden, head).float() - base_lse[:, None]
        return (logp.exp() * (logp - z)).sum(-1) + lse


TEACHERS = {"kept": Kept, "recomputed": Recomputed}
CHOICES = {"mode": ("eager", "compiled"), "attention": ("sdpa", "eager"), "targets": tuple(TEACHERS), "batch": (1, 2, 4)}


def scorer(model, head, teacher):
    """A function from x, the tokens that follow [batch · SEQUENCE] and the teacher's tensors to NLL and KL [batch · SEQUENCE].
    head is the base's output matrix."""

    def score(x, follow, *prepared):
        nll, kl = [], []
        h = states(model, x)
        for first in range(0, len(follow), ROWS):
            rows = slice(first, first + ROWS)
            z = model.lm_head(h[rows]).float()
            lse = z.logsumexp(-1)
            nll.append(lse - z.gather(1, follow[rows, None])[:, 0])
            kl.append(teacher.kl(head, z, lse, *(t[rows] for t in prepared)))
        return torch.cat(nll), torch.cat(kl)

    return score


def profile(score, arguments):
    """Milliseconds by operator of one call, printed to stderr."""
    with torch.profiler.profile() as p:
        score(*arguments)
    print(p.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=60), file=sys.stderr)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--model", type=pathlib.Path, default=smollm2.default_path())
    ap.add_argument("--base", type=pathlib.Path)
    ap.add_argument("--text", type=pathlib.Path, default=REPO / "model/finchling/calibration.txt")
    ap.add_argument("--sequences", type=int, default=16, help="a multiple of 4")
    ap.add_argument("--rounds", type=int, default=3, help="timed passes over all sequences, after one that is not")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    for name, choices in CHOICES.items():
        ap.add_argument(f"--{name}", nargs="+", type=type(choices[0]), choices=choices, default=choices)
    ap.add_argument("--profile", action="store_true", help="also say where a batch's time goes")
    args = ap.parse_args()
    if args.sequences < 4 or args.sequences % 4:
        ap.error(f"--sequences {args.sequences}: write a multiple of 4, the largest batch")
    torch.set_num_threads(args.threads)

    tokenizer, model = load(args.model)
    base = load(args.base)[1] if args.base else model
    ids = tokenizer.encode(args.text.read_text()).ids
    used = args.sequences * SEQUENCE
    if len(ids) < used:
        ap.error(f"{args.text} has {len(ids)} tokens, {used} are asked for")
    x = torch.tensor(ids[:used]).view(args.sequences, SEQUENCE)
    # Nothing follows the last token of a sequence: a 0 stands there, and its NLL is not counted.
    follow = F.pad(x[:, 1:], (0, 1))

    variants = {}
    with torch.inference_mode():
        for choice in itertools.product(*(getattr(args, name) for name in CHOICES)):
            mode, attention, targets, batch = choice
            for m in (model, base):
                m.set_attn_implementation(attention)
            teacher = TEACHERS[targets]
            batches = [(xs, f.flatten(), *teacher(base, xs).tensors()) for xs, f in zip(x.split(batch), follow.split(batch))]
            score = scorer(model, base.lm_head.weight, teacher)
            if mode == "compiled":
                torch._dynamo.reset()
                score = torch.compile(score, dynamic=False)
            scores = [score(*b) for b in batches]
            seconds = []
            for _ in range(args.rounds):
                start = time.perf_counter()
                for b in batches:
                    score(*b)
                seconds.append(time.perf_counter() - start)
            name = f"{mode}, {attention} attention, targets {targets}, batch {batch}"
            nll, kl = (torch.cat(s).view(args.sequences, SEQUENCE).double() for s in zip(*scores))
            variants[name] = {"tokens_per_second": round(used / min(seconds), 1),
                              "nll": nll[:, :-1].mean().item(), "kl": kl.mean().item(),
                              "ppl_second_half": nll[:, SEQUENCE // 2 : -1].mean().exp().item(),
                              "kl_second_half": kl[:, SEQUENCE // 2 : -1].mean().item()}
            print(f"{name}: {variants[name]}", file=sys.stderr, flush=True)
            if args.profile:
                profile(score, batches[0])
    best = max(variants, key=lambda v: variants[v]["tokens_per_second"])
    print(json.dumps(dict(variants[best], best=best, threads=args.threads, tokens=used, torch=torch.__version__,
                          load_average=os.getloadavg()[0], variants=variants), indent=1))


if __name__ == "__main__":
    main()
