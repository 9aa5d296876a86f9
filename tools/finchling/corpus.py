"""finchling's corpus: five public-domain texts, the last 5 % of each held out."""
import pathlib

TEXTS = ["bible-kjv.txt", "jane-austen.txt", "moby-dick.txt", "sotu.txt", "war-and-peace.txt"]


def split(path: pathlib.Path) -> tuple[bytes, bytes]:
    """The trained and the held-out part of one text, cut between two UTF-8 characters."""
    data = path.read_bytes()
    cut = len(data) * 95 // 100
    while data[cut] & 0xC0 == 0x80:
        cut += 1
    return data[:cut], data[cut:]
