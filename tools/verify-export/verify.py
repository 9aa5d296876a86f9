"""Proves exported files in the engines that they are for.

usage: python3 verify.py FILE.gguf --base MODEL [--text TEXT] [--chunks N] [--threads N]
       python3 verify.py FOLDER [--text TEXT]

A GGUF file is loaded by llama.cpp and, if it is installed, by npm's node-llama-cpp, both of which go on with a prompt;
llama-perplexity's perplexity on TEXT must be within 0.5 % of finch eval's, and its KL divergence from MODEL, which finch
opens, within 5 % + 0.001: llama.cpp's CPU kernels round activations. A folder is loaded by transformers, whose perplexity
in float32 must be within 0.01 % of finch eval's.

  FINCH             the program            (finch)
  FINCH_LLAMA_CPP   where build.sh built   (~/.cache/finch/llama.cpp)
  NODE_LLAMA_CPP    a folder in which 'npm install node-llama-cpp' was run (none: node is left out)

Prints a line for each check, and ends with status 1 if one fails.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile

CONTEXT = 512
PROMPT = "The house stood"
FINCH = os.environ.get("FINCH", "finch")
LLAMA = os.path.join(os.environ.get("FINCH_LLAMA_CPP") or os.path.expanduser("~/.cache/finch/llama.cpp"), "build", "bin")
failed = False


def run(*args, **more):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, args))}: status {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout + "\n" + done.stderr


def check(name, ok, text):
    global failed
    failed = failed or not ok
    print(f"{'ok    ' if ok else 'FAILED'} {name}: {text}", flush=True)


def finch_eval(a, *more):
    """finch's perplexity, and its KL divergence if a base is among the arguments."""
    args = [FINCH, "eval", a.model, "--data", a.text, "--context", CONTEXT, "--chunks", a.chunks, "--json", *more]
    done = subprocess.run([str(x) for x in args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"finch eval: {done.stderr}")
    text = json.loads(done.stdout)["text"]
    return text["ppl"]["value"], text.get("comparison", {}).get("kld", {}).get("value")


def base_gguf(ref, folder):
    """The uncompressed model as llama.cpp loads it: a configuration of EvoPress that drops nothing."""
    if ref.endswith(".gguf"):
        return ref
    blocks = int(re.search(r"blocks +(\d+)", run(FINCH, "inspect", ref)).group(1))
    words, out = os.path.join(folder, "none.txt"), os.path.join(folder, "base.gguf")
    with open(words, "w") as f:
        f.write("none\n" * blocks)
    run(FINCH, "import", words, "--model", ref, "--format", "gguf", "-o", out, "--db", os.path.join(folder, "verify.db"))
    return out


def gguf(a):
    text = run(os.path.join(LLAMA, "llama-completion"), "-m", a.model, "-p", PROMPT, "-n", 24, "-no-cnv", "--temp", 0, "-t", a.threads)
    said = text.split(PROMPT, 1)[-1].split("\n\n")[0].strip()
    check("llama.cpp generates", PROMPT in text and len(said) > 0, repr(PROMPT + " " + said[:80]))
    if folder := os.environ.get("NODE_LLAMA_CPP"):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "generate.mjs")
        said = run("node", script, folder, os.path.abspath(a.model), PROMPT).strip()
        check("node-llama-cpp generates", len(said) > 0, repr(PROMPT + said[:80]))
    with tempfile.TemporaryDirectory() as folder:
        base, logits = base_gguf(a.base, folder), os.path.join(folder, "logits")
        common = ["-f", a.text, "-c", CONTEXT, "--chunks", a.chunks, "-t", a.threads]
        perplexity = os.path.join(LLAMA, "llama-perplexity")
        ppl = float(re.search(r"Final estimate: PPL = ([\d.]+)", run(perplexity, "-m", a.model, *common)).group(1))
        run(perplexity, "-m", base, "--kl-divergence-base", logits, *common)
        text = run(perplexity, "-m", a.model, "--kl-divergence-base", logits, "--kl-divergence", "-t", a.threads)
        kld = float(re.search(r"Mean +KLD: +([-\d.]+)", text).group(1))
        our_ppl, our_kld = finch_eval(a, "--base", a.base)
        off = ppl / our_ppl - 1
        check("perplexity", abs(off) <= 0.005, f"llama.cpp {ppl:.4f}, finch {our_ppl:.4f}: {100 * off:+.3f} %")
        check("KL divergence", abs(kld - our_kld) <= 0.05 * our_kld + 0.001, f"llama.cpp {kld:.6f}, finch {our_kld:.6f}")


def folder(a):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    prompt = tokenizer(PROMPT, return_tensors="pt")
    said = tokenizer.decode(model.generate(**prompt, max_new_tokens=24, do_sample=False)[0])
    check("transformers generates", len(said) > len(PROMPT), repr(said[:80]))
    ids = tokenizer(open(a.text, encoding="utf-8", newline="").read(), add_special_tokens=False).input_ids
    losses = []
    with torch.no_grad():
        for c in range(min(a.chunks, len(ids) // CONTEXT)):
            chunk = torch.tensor([ids[c * CONTEXT : (c + 1) * CONTEXT]])
            log = torch.log_softmax(model(chunk).logits[0].double(), -1)
            at = range(CONTEXT // 2, CONTEXT - 1)  # as llama-perplexity scores
            losses += [-log[i, chunk[0, i + 1]].item() for i in at]
    ppl = math.exp(sum(losses) / len(losses))
    ours, _ = finch_eval(a, "--kernels", "portable")
    check("perplexity", abs(ppl / ours - 1) <= 1e-4, f"transformers {ppl:.5f}, finch {ours:.5f}: {100 * (ppl / ours - 1):+.5f} %")


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n\n")[0])
    p.add_argument("model")
    p.add_argument("--base")
    p.add_argument("--text", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../model/finchling/evaluation.txt"))
    p.add_argument("--chunks", type=int, default=8)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    a = p.parse_args()
    if os.path.isdir(a.model):
        folder(a)
    elif a.base is None:
        p.error("--base is missing: the model that the file was compressed from")
    else:
        gguf(a)
    sys.exit(failed)


main()
