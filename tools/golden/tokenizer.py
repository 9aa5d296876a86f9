"""Golden ids for model/tokenizer, from the Rust library `tokenizers`.

Writes model/tokenizer/testdata: strings.json, 2,000 hard strings; for each small tokenizer, with the settings of a family's own,
NAME.tokenizer.json and NAME.ids.json, which has a checksum of each string's ids and of what they decode to; for SmolLM2 (where
--smollm2 gives its GGUF), finchling (--finchling) and the vocabularies that llama.cpp's sources hold (--llama-cpp) only the
latter. Run from the repository root:
    python tools/golden/tokenizer.py [--smollm2 FILE.gguf] [--finchling tokenizer.json] [--llama-cpp SOURCES]
The library's trainer picks among equally rare characters at random, so metaspace and behaviors differ from run to run.

With --full DIR it writes instead the checksums for every tokenizer NAME.json in DIR (strings.json, NAME.ids.json), which the
test reads where FINCH_TOKENIZERS names that folder.
"""

import argparse
import base64
import json
import random
import struct
import unicodedata
import zlib
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = Path("model/tokenizer/testdata")

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
CASED = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
UPPER = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + SPACES
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
BAILING = CL100K.replace("{1,3}", "")
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + SPACES
GPT4O = CASED + CONTRACTIONS + "?|" + UPPER + CONTRACTIONS + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + SPACES
TEKKEN = CASED + "|" + UPPER + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + SPACES
DEEPSEEK = (
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
)

FIXED = [
    "", " ", "  ", "\n", "\r\n", "\t", "a", " a", "a ", "  a  ", "\u00a0", "\u3000x", "\u2028", "\x00", "\x1f\x7f", "\ufeffbom",
    "Hello, world!", "The quick brown fox jumps over the lazy dog.", "It's we've they'll I'm he'd don't you're",
    "IT'S WE'VE THEY'LL I'M HE'D DON'T YOU'RE", "'s't're've'm'll'd 'S'T'RE'VE'M'LL'D 'Ll'rE'vE", "it'ſ IT'ſ x'ſa 'ſ'ſ",
    "''s '' ' 's' \u2019s \u2019S", "a'b'c'd'e", "x'lm y'l z'r q'v", "0 1 12 123 1234 12345 1234567890", "3.14159e-10 0x1F 1,000,000.00",
    "①②③ ½¾ ⅷⅸ ²³ ٣٤٥ ९८७ 𝟘𝟙𝟚 〇一二", "def f(x):\n    return x**2  # square\n\n\n", "for (int i = 0; i < n; ++i) {\n\tsum += a[i];\n}\r\n",
    "<div class=\"a\">&nbsp;</div>", "http://example.com/a/b?c=d&e=f#g", "a/b/c //\n/x /\r\n/ ...\n/\n", "snake_case camelCase PascalCase SCREAMING_CASE",
    "HTTPServer XMLHttpRequest iPhone mRNA ǅungla ǅ ʰA Aʰ ʰʰ", "\u0301a \u0301 a\u0301\u0301 A\u0301A a\u0301b\u0301C\u0301",
    "नमस्ते दुनिया สวัสดีชาวโลก שלום عليكم مرحبا", "中文分词 日本語のテキスト 한국어 ひらがなカタカナ龥龦", "Ünïcödé Straße ﬁ ﬂ ẞ İstanbul ıI ΣΊΣΥΦΟΣ ς",
    "한국어", "é vs é, Å vs Å vs Å, ẉ̂ ẉ̇", "q\u0307\u0323 q\u0323\u0307 \u1e0b\u0323", "क़ ড় ਖ਼ שּׁ Ά 艹",
    "z" + "\u0300\u0323\u0334" * 15 + "a", "e" + "\u0301" * 40, "\u0327" * 35 + "c\u0327", "a\u1df6\u0301 a\u1dfa\u0323 \U00011935\U00011930",
    "👍🏽 👨‍👩‍👧‍👦 🇩🇪 ☃️ ☃ ✊🏿✊", "𝕳𝖊𝖑𝖑𝖔 𐍈 𠜎𠜱 \U0010ffff \ue000", "\U000105c0\U00013460 \u1c89\u1c8a \U0002ebf0 \ua7cb\ua7da",
    "\U00010d40\U00010d41 \U000116d0x \U00011de0\U00016ff4 1\U0001ccf0", "\u0897a \u1b4e \u2427\u2ffc \U0001f8b2\U0001fae9 \U0001cc00",
    "a\u200bb a\u200db a\u200cb a\u00adb", "a\u0085b\u000bc\u000cd\u001ce", "tab\tseparated\t\tvalues\n\n \n  \n\t \t\n x", " \n \n", "\n\n\n   \n   x", "x   ", "x \n", "x\n ",
    "   leading", "trailing   ", "many     inner      spaces", "mixed \t \n whitespace \r\n\r\n end", "\r\r\n\n\r", "a\rb", "▁▁a ▁b▁", "a▁▁b c▁ ▁",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababa", "…—–‘’“”«»", "$100 €5 £3 ¥9 +1 -1 =1 ^2 ~3 |4 `5",
    "<|endoftext|>", "a<|endoftext|>b", " <|endoftext|> ", "<|endoftext|><|endoftext|>", "<|endoftext|", "<|ENDOFTEXT|>", "<s>a</s> <unk><pad>", "<0x41><0x0A><0xE5>",
    "[LEFT]  x  [LEFT]", "a  [LEFT]b", "[RIGHT]  x", "a[RIGHT] \n b", "[BOTH]", " \n[BOTH]\t x [BOTH] [LEFT] [BOTH][BOTH]", "[WORD] a[WORD] [WORD]b ([WORD]) é[WORD] _[WORD] ١[WORD] \u0301[WORD] [WORD]",
    "[WORD][WORD]", "new york new yorker NEW YORK", "caf\u00e9 cafe\u0301 CAFÉ xcafe\u0301s", "abc abcd abcde abcdef", "[WORD]abcde[LEFT]abc",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|begin_of_text|>x<|eot_id|>", "<think>\n\n</think>\n\n<tool_call>{\"a\": 1}</tool_call>",
    "<｜User｜>hi<｜Assistant｜>", "<bos>a<start_of_turn>user\n<eos>", "\n\n\n\n\n\n\n\n" + "  " * 20 + "\t" * 9,
]

WORDS = (
    "the of and to in that is was he for it with as his on be at by had not are but from or have an they which one you were all her she there "
    "would their we him been has when who will no more if out so said what up its about than into them can only other time new some could these "
    "two may first then do any like my now over such our man me even most made after also did many off before must well back through years much "
    "where your way down should because long each just state those people too Mr good very make world still see own work men day get here old "
    "number great tell believe window children language evolution finches island weights compress"
).split()

BLOCKS = [
    (0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x24F), (0x250, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xD7F), (0xE00, 0xEFF), (0x1000, 0x17FF),
    (0x1800, 0x1CFF), (0x1D00, 0x1FFF), (0x2000, 0x2BFF), (0x2C00, 0x2FFF), (0x3000, 0x33FF), (0x4E00, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7A3),
    (0xF900, 0xFFFD), (0x10000, 0x10FFF), (0x11000, 0x11FFF), (0x12000, 0x16FFF), (0x1B000, 0x1D7FF), (0x1E000, 0x1FAFF), (0x20000, 0x323AF), (0xE0000, 0x10FFFF),
]
SPACE = [" ", " ", " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\u00a0", "\u3000", "\u2028", ""]
MARKS = [chr(c) for c in range(0x300, 0x370)] + list("़゙゚्ֱֲٌٍ᷺᪰︠᷶") + [chr(c) for c in (0x16FF0, 0x1E08F, 0x1E4EC, 0x11070, 0x1611E, 0x897)]
SPECIALS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "[LEFT]", "[RIGHT]", "[BOTH]", "[WORD]", "abcde", "<0x0A>",
    "<|user|>", "<|end|>", "[INST]", "[/INST]", "[TOOL_CALLS]", "<start_of_turn>", "<end_of_turn>", "<table>", "<think>", "</think>", "<tool_call>",
    "|||EMAIL_ADDRESS|||", "<|fim_prefix|>", "<fim_prefix>", "<file_sep>", "<|eot_id|>",
]


def generated(rng: random.Random) -> str:
    kind = rng.randrange(9)
    parts = []
    for _ in range(rng.randint(1, 12)):
        match kind:
            case 0:  # prose
                word = rng.choice(WORDS)
                parts += [rng.choice([word, word, word.upper(), word.title()]), rng.choice(["", "", "'s", "'LL", "'ſ", "n't", "’s", ",", "."]), " "]
            case 1:  # characters of one block
                low, high = rng.choice(BLOCKS)
                parts += [chr(rng.randint(low, high)) for _ in range(4)] + [rng.choice(SPACE)]
            case 2:  # of all planes
                parts.append(chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])))
            case 3:  # white space
                parts += [rng.choice(SPACE), rng.choice(SPACE), rng.choice(["", "a", "1", ".", "Z", "é", "'s"])]
            case 4:  # code
                parts.append(rng.choice(["if", "(x)", "{\n", "    ", "\t", "return", "==", "!=", "->", "0x", "::", "//", "/*", "*/\n", "foo_bar", "i++", ";\n", '"', "\\n"]))
            case 5:  # digits
                parts += ["".join(rng.choices("0123456789", k=rng.randint(1, 7))), rng.choice([" ", ".", ",", "", "a", "٣", "½", "-"])]
            case 6:  # combining marks
                parts += [rng.choice("aeoAEOcsqकア가1 "), *rng.choices(MARKS, k=rng.randint(0, 4))]
            case 7:  # special tokens
                parts += [rng.choice(SPECIALS), rng.choice(["", " ", "  ", "a", "\n", "_", "é"])]
            case 8:  # case
                parts += [rng.choice(["a", "B", "ß", "Ǆ", "ǅ", "ʰ", "ª", "中", "é", "É", "\u0301", "1", "-", "'s", "'T", "/", "\n"])]
    text = "".join(parts)
    return unicodedata.normalize(rng.choice(["NFC", "NFD"]), text) if rng.random() < 0.2 else text


def hard_strings(count: int) -> list[str]:
    rng = random.Random(20260101)
    strings = list(FIXED)
    while len(strings) < count:
        s = generated(rng)
        if not any(0xD800 <= ord(c) < 0xE000 for c in s):
            strings.append(s)
    return strings


def split(pattern: str, behavior: str = "isolated", invert: bool = False):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior, invert), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def byte_level(pre, normalizer=None, **options) -> Tokenizer:
    """A byte-level tokenizer, trained on the strings themselves."""
    tok = Tokenizer(models.BPE())
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer, tok.decoder = pre, decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=440, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tok.train_from_iterator(hard_strings(400), trainer)
    return with_options(tok, **options)


def with_options(tok: Tokenizer, **options) -> Tokenizer:
    data = json.loads(tok.to_str())
    data["model"].update(options)
    return Tokenizer.from_str(json.dumps(data))


def special(tok: Tokenizer, *names: str, **options) -> Tokenizer:
    tok.add_special_tokens([AddedToken(name, normalized=False, **options) for name in names])
    return tok


def added(tok: Tokenizer, *names: str, **options) -> Tokenizer:
    tok.add_tokens([AddedToken(name, normalized=False, **options) for name in names])
    return tok


def add_tokens(tok: Tokenizer, normalized: bool) -> Tokenizer:
    tok.add_special_tokens([AddedToken("<|im_start|>", normalized=False), AddedToken("<|im_end|>", normalized=False)])
    tok.add_tokens([
        AddedToken("[LEFT]", lstrip=True, normalized=normalized), AddedToken("[RIGHT]", rstrip=True, normalized=normalized),
        AddedToken("[BOTH]", lstrip=True, rstrip=True, normalized=normalized), AddedToken("[WORD]", single_word=True, normalized=normalized),
        AddedToken("abc", normalized=normalized), AddedToken("abcde", normalized=normalized), AddedToken("new york", normalized=normalized, single_word=True),
        AddedToken("cafe\u0301", normalized=normalized),
    ])
    return tok


def characters(normalizer, pre, decoder, unk="<unk>", fallback=True, **options) -> Tokenizer:
    """A tokenizer over characters, as converted from SentencePiece."""
    tok = Tokenizer(models.BPE(unk_token=unk))
    if normalizer:
        tok.normalizer = normalizer
    if pre:
        tok.pre_tokenizer = pre
    tok.decoder = decoder
    special = ["<unk>", "<s>", "</s>"] + ([f"<0x{b:02X}>" for b in range(256)] if fallback else [])
    trainer = trainers.BpeTrainer(vocab_size=len(special) + 220, special_tokens=special, limit_alphabet=90, show_progress=False, max_token_length=6)
    words = [w for s in hard_strings(400) for w in s.split(" ")]  # one token per word at most, or whole strings would be tokens
    tok.train_from_iterator(words, trainer)
    data = json.loads(tok.to_str())
    data["model"].update(options, byte_fallback=fallback)
    data["added_tokens"] = data["added_tokens"][:3]
    data["model"]["merges"] = all_merges(data["model"])
    return Tokenizer.from_str(json.dumps(data))


def all_merges(model: dict) -> list[list[str]]:
    """Every way to make each token, as in files that were converted from SentencePiece (transformers' generate_merges)."""
    made = dict.fromkeys(left + right for left, right in model["merges"])
    pieces = {t for t in model["vocab"] if not (t.startswith("<") and t.endswith(">") and len(t) > 1)}
    return [[t[:i], t[i:]] for t in made for i in range(1, len(t)) if t[:i] in pieces and t[i:] in pieces]


def small_tokenizers() -> dict[str, Tokenizer]:
    sentencepiece = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    deepseek = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"), pre_tokenizers.Split(Regex("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"), "isolated"),
        pre_tokenizers.Split(Regex(DEEPSEEK), "isolated"), bytes_only,
    ])
    toks = {
        "gpt2": add_tokens(byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)), normalized=False),
        "digits": byte_level(DIGITS),
        "numbers": byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(False), pre_tokenizers.Split(Regex(r"\s+"), "contiguous"), bytes_only])),
        "gpt2split": byte_level(split(GPT2, "merged_with_next")),
        "llama3": byte_level(split(LLAMA3), ignore_merges=True),
        "cl100k": byte_level(split(CL100K, "removed", True)),
        "bailing": byte_level(split(BAILING)),
        "qwen2": add_tokens(byte_level(split(QWEN2), normalizers.NFC()), normalized=True),
        "qwen35": byte_level(split(QWEN35), normalizers.NFC()),
        "gpt4o": byte_level(split(GPT4O)),
        "tekken": byte_level(split(TEKKEN), ignore_merges=True),
        "deepseek": add_tokens(byte_level(deepseek), normalized=True),
        "llama2": add_tokens(characters(normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, sentencepiece, fuse_unk=True), normalized=False),
        "gemma": characters(normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]), fuse_unk=True),
        "metaspace": add_tokens(characters(normalizers.Lowercase(), pre_tokenizers.Metaspace(prepend_scheme="first"), decoders.Metaspace(prepend_scheme="first"), fallback=False), normalized=True),
        "fused": characters(None, pre_tokenizers.Metaspace(prepend_scheme="always", split=False), decoders.Metaspace(prepend_scheme="always"), fallback=False, fuse_unk=True),
        "behaviors": characters(None, pre_tokenizers.Sequence([pre_tokenizers.Split("e", "merged_with_previous"), pre_tokenizers.Split("a", "removed"), pre_tokenizers.Split("t", "merged_with_next", True), pre_tokenizers.Split(" ", "contiguous")]), decoders.Fuse(), unk=None, fallback=False),
    }
    # Families whose own files differ from the above only in added tokens, or in how they write the same thing.
    llama = dict(normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), pre=None, decoder=sentencepiece, fuse_unk=True)
    toks["phi3"] = special(special(characters(**llama), "<|endoftext|>"), "<|user|>", "<|end|>", "<|assistant|>", "<|system|>", rstrip=True)
    toks["mistral3"] = special(characters(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), sentencepiece, fuse_unk=True), "[INST]", "[/INST]", "[TOOL_CALLS]")
    toks["gemma3"] = special(added(characters(normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), toks["gemma"].decoder, fuse_unk=True), "\n\n", "\n\n\n", "▁▁", "▁▁▁▁", "<table>"), "<start_of_turn>", "<end_of_turn>")
    toks["olmo2"] = special(added(byte_level(split(LLAMA3)), "|||EMAIL_ADDRESS|||", "|||PHONE_NUMBER|||"), "<|fim_prefix|>", "<|im_start|>", "<|im_end|>")
    toks["starcoder2"] = special(byte_level(DIGITS), "<fim_prefix>", "<file_sep>", "<issue_start>")
    toks["qwen3"] = added(special(byte_level(split(QWEN2), normalizers.NFC()), "<|im_start|>", "<|im_end|>"), "<tool_call>", "</tool_call>", "<think>", "</think>")
    special(toks["llama3"], "<|eot_id|>")
    special(toks["tekken"], "[INST]", "[/INST]", "[TOOL_CALLS]")
    toks["llama3"].post_processor = processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    return toks


def compact(path: Path, data) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")


def checksums(data: list[bytes]) -> str:
    return base64.b64encode(b"".join(struct.pack("<I", zlib.crc32(d)) for d in data)).decode()


def golden(encode, decode, strings: list[str], skip=lambda s: False) -> dict:
    """CRC-32 of the ids of each string, as 32-bit numbers, and of the text that they decode to."""
    ids = [[] if skip(s) else encode(s) for s in strings]
    return {
        "ids": checksums([struct.pack(f"<{len(i)}i", *i) for i in ids]),
        "texts": checksums([decode(i).encode() if i else b"" for i in ids]),
        "skipped": [i for i, s in enumerate(strings) if skip(s)],
    }


def library(tok: Tokenizer, strings: list[str]) -> dict:
    return golden(lambda s: tok.encode(s, add_special_tokens=False).ids, lambda ids: tok.decode(ids, skip_special_tokens=False), strings)


def from_gguf(path: Path, pre, normalizer=None, ignore_merges=False) -> Tokenizer:
    """The byte-level vocabulary of a GGUF file with the other settings of its family."""
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    tok = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges, ignore_merges=ignore_merges))
    tok.pre_tokenizer, tok.decoder = pre, decoders.ByteLevel()
    if normalizer:
        tok.normalizer = normalizer
    types = fields["tokenizer.ggml.token_type"].contents()
    tok.add_special_tokens([AddedToken(t, normalized=False) for t, typ in zip(tokens, types) if typ == 3])
    tok.add_tokens([AddedToken(t, normalized=False) for t, typ in zip(tokens, types) if typ == 4])
    return tok


DIGITS = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])


def llama_cpp(models_folder: Path) -> dict[str, Tokenizer]:
    """Real vocabularies, of the files with which llama.cpp tests its own tokenizers."""
    return {
        "gpt-2": from_gguf(models_folder / "ggml-vocab-gpt-2.gguf", pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "llama-bpe": from_gguf(models_folder / "ggml-vocab-llama-bpe.gguf", split(LLAMA3), ignore_merges=True),
        "qwen2": from_gguf(models_folder / "ggml-vocab-qwen2.gguf", split(QWEN2), normalizers.NFC()),
        "qwen35": from_gguf(models_folder / "ggml-vocab-qwen35.gguf", split(QWEN35), normalizers.NFC()),
        "starcoder": from_gguf(models_folder / "ggml-vocab-starcoder.gguf", DIGITS),
    }


def full(folder: Path) -> None:
    strings = hard_strings(2000)
    compact(folder / "strings.json", strings)
    for path in sorted(folder.glob("*.json")):
        if path.name != "strings.json" and not path.name.endswith(".ids.json"):
            compact(path.with_suffix("").with_suffix(".ids.json"), library(Tokenizer.from_file(str(path)), strings))


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--smollm2", help="SmolLM2 as GGUF")
    args.add_argument("--finchling", help="finchling's tokenizer.json")
    args.add_argument("--llama-cpp", type=Path, help="llama.cpp's sources")
    args.add_argument("--full", type=Path, help="folder of tokenizer.json files, each NAME.json")
    args = args.parse_args()
    if args.full:
        return full(args.full)
    strings = hard_strings(2000)
    OUT.mkdir(parents=True, exist_ok=True)
    compact(OUT / "strings.json", strings)
    for name, tok in small_tokenizers().items():
        compact(OUT / f"{name}.tokenizer.json", json.loads(tok.to_str()))
        compact(OUT / f"{name}.ids.json", library(tok, strings))
    if args.smollm2:
        compact(OUT / "smollm2.ids.json", library(from_gguf(args.smollm2, DIGITS), strings))
    if args.finchling:
        compact(OUT / "finchling.ids.json", library(Tokenizer.from_file(args.finchling), strings))
    if args.llama_cpp:
        for name, tok in llama_cpp(args.llama_cpp / "models").items():
            compact(OUT / "llama.cpp" / f"{name}.ids.json", library(tok, strings))


if __name__ == "__main__":
    main()
