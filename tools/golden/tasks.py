"""Golden log-likelihoods: lm-evaluation-harness with SmolLM2 in fp32, the harness's own task files over local questions.

usage: python tasks.py --data DIR [--model FILE] [--questions 25] [--folder tasks/testdata]     (needs lm_eval; made with 0.4.13)

FOLDER has made-up questions in the shapes of the data sets; what the harness asks of them is kept whole, in harness.json beside
them. DIR has arc_easy.jsonl and lambada_openai.jsonl in llm-foundry's shape, rewritten here to the data sets'; of them
only the numbers are kept.
"""
import argparse
import json
import pathlib
import tempfile

import lm_eval
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks._yaml_loader import load_yaml
from transformers import PreTrainedTokenizerFast

import smollm2

REPO = pathlib.Path(__file__).resolve().parents[2]
TASKS = pathlib.Path(lm_eval.__file__).parent / "tasks"
MADE_UP = {
    "arc": "arc/arc_easy.yaml",
    "lambada": "lambada/lambada_openai.yaml",
    "piqa": "piqa/piqa.yaml",
    "winogrande": "winogrande/default.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
    "boolq": "super_glue/boolq/default.yaml",
    "openbookqa": "openbookqa/openbookqa.yaml",
}


def arc(item):
    labels = [str(i) for i in range(len(item["choices"]))]
    question = item["query"].removeprefix("Question: ")
    return dict(question=question, choices=dict(text=item["choices"], label=labels), answerKey=labels[item["gold"]])


def lambada(item):
    return dict(text=item["context"] + " " + item["continuation"])


def ask(lm, config, rows, folder, keep):
    """What the harness asks and finds."""
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(r) + "\n" for r in rows))
    config = load_yaml(TASKS / config)
    config.pop("tag", None)
    config |= dict(dataset_path="json", dataset_name=None, dataset_kwargs=dict(data_files=dict(test=str(data)), cache_dir=str(folder / str(id(rows)))))
    config |= dict(training_split=None, validation_split=None, test_split="test")
    task = ConfigurableTask(config=config)
    task.build_all_requests(rank=0, world_size=1)
    found = lm.loglikelihood(task.instances)
    questions = []
    for i, doc in enumerate(task.test_docs()):
        at = [n for n, r in enumerate(task.instances) if r.doc_id == i]
        question = dict(log=[found[n][0] for n in at], greedy=[found[n][1] for n in at])
        results = task.process_results(doc, [found[n] for n in at])
        question |= {k: float(v) for k, v in results.items() if k in ("acc", "acc_norm")}
        if keep:
            question["requests"] = [task.instances[n].args for n in at]
        questions.append(question)
    metrics = {}
    for name in ("acc", "acc_norm"):
        values = [q[name] for q in questions if name in q]
        if values:
            metrics[name] = lm_eval.api.metrics.mean(values)
            metrics[name + "_stderr"] = lm_eval.api.metrics.mean_stderr(values)
    return dict(**metrics, questions=questions)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", type=pathlib.Path, required=True)
    ap.add_argument("--model", type=pathlib.Path, default=smollm2.default_path())
    ap.add_argument("--questions", type=int, default=25)
    ap.add_argument("--folder", type=pathlib.Path, default=REPO / "tasks/testdata")
    args = ap.parse_args()
    file = smollm2.File(args.model)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=file.tokenizer(), bos_token="<|im_start|>", eos_token="<|im_end|>")
    lm = HFLM(pretrained=file.model(), tokenizer=tokenizer, batch_size=4, device="cpu")
    read = lambda path: [json.loads(line) for line in path.read_text().splitlines()]
    out = dict(model_sha256=file.sha256, harness=lm_eval.__version__, tasks={})
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, config in MADE_UP.items():
            out["tasks"][name] = ask(lm, config, read(args.folder / f"{name}.jsonl"), folder, True)
        for name, config, row in (("arc_easy", MADE_UP["arc"], arc), ("lambada_openai", MADE_UP["lambada"], lambada)):
            rows = [row(item) for item in read(args.data / f"{name}.jsonl")[: args.questions]]
            out["tasks"][name] = ask(lm, config, rows, folder, False)
    (args.folder / "harness.json").write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")).replace('{"log"', '\n{"log"') + "\n")


if __name__ == "__main__":
    main()
