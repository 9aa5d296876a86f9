"""Write finchling's builtin texts: calibration.txt from the trained part of the corpus, evaluation.txt from the held-out one.

usage: python excerpts.py --corpus DIR [--out DIR]     (out: model/finchling)

Each text gives its share, by size: passages of about 8 KB, evenly spaced, that start and end with a line (in sotu.txt,
where a line is a whole speech, with a sentence). They are interleaved by their relative position, so that any prefix of
a file is a fair mix of the five texts. A blank line separates passages.
"""
import argparse
import pathlib

from corpus import TEXTS, split

TARGET, LIMIT = 392_000, 400_000  # bytes per file; passages run on to the end of a line, a little over the target
PASSAGE = 8192
REPO = pathlib.Path(__file__).resolve().parents[2]


def start_of_line(data: bytes, at: int) -> int:
    """The first start of a line after byte `at`, of a sentence where the lines are whole speeches, or the end."""
    cut = data.find(b"\n", at, at + 1024)
    if cut < 0:
        cut = data.find(b". ", at) + 1
    return cut + 1 if cut > 0 else len(data)


def passages(data: bytes, quota: int) -> list[tuple[float, bytes]]:
    """Passages of `data`, about `quota` bytes in all: (relative position, passage)."""
    count = max(1, round(quota / PASSAGE))
    out, end = [], 0
    for i in range(count):
        # What is left is shared by the passages that are left, so that overruns do not add up.
        size = quota // (count - i)
        start = start_of_line(data, max(end, len(data) * i // count))
        end = start_of_line(data, min(start + size, len(data)))
        quota = max(0, quota - (end - start))
        out.append(((i + 0.5) / count, data[start:end].strip()))
    return out


def excerpt(parts: list[bytes]) -> bytes:
    total = sum(map(len, parts))
    scale = min(1, TARGET / total)
    chosen = [(at, i, p) for i, data in enumerate(parts) for at, p in passages(data, int(len(data) * scale))]
    return b"\n\n".join(p for _, _, p in sorted(chosen)) + b"\n"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--corpus", type=pathlib.Path, required=True)
    ap.add_argument("--out", type=pathlib.Path, default=REPO / "model/finchling")
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    trained, held = zip(*(split(args.corpus / name) for name in TEXTS))
    for name, parts in (("calibration.txt", trained), ("evaluation.txt", held)):
        text = excerpt(parts)
        text.decode()  # whole characters
        assert len(text) <= LIMIT, len(text)
        (args.out / name).write_bytes(text)
        print(f"{name}: {len(text)} bytes")


if __name__ == "__main__":
    main()
