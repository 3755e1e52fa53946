#!/usr/bin/env python3
"""gen_text_goldens.py - writes tests/golden/text/: a small vocabulary and what it gives.

Needs ftfy 6.3.1, regex 2022.10.31 and tokenizers 0.23.3 on Python 3.11 (pip install), which
are the references; the sentences are our own. merges.txt is trained on them here, the rows of
texts.jsonl are cleaned and split by the references and encoded by a plain loop. The texts of
mojibake.jsonl are damaged here as texts are in the wild, and cleaned by the references.
"""

import collections
import html
import json
import os
import random
import string

import ftfy
import regex
from ftfy.chardata import CHARMAP_ENCODINGS
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

OUT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests/golden/text")
MERGES_MAX = 600
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
START, END = "<|startoftext|>", "<|endoftext|>"

CORPUS = """a photo of a cat. a photo of a dog. a photo of the small boat on the river.
a drawing of a house with a red roof and two windows. the cat's tail isn't long, they're here.
a close-up photo of an old wooden table; a bowl of apples stands on it. we've seen it, i'm sure.
children play football in the park while the sun goes down behind the mountains.
a black and white picture of a street in the rain with a man holding an umbrella.
an airplane, a truck, a ship, a bird, a frog, a horse and a deer: what is it?
le chat dort sur le canapé près de la fenêtre. ein Hund läuft über die grüne Wiese.
startoftext endoftext start of text end of text <start_of_text> <end_of_text>
"""

TEXTS = [
    "",
    " ",
    "a photo of a cat",
    "A Photo of a DOG.",
    "  many   spaces \t and\nlines\r\nhere ",
    "the cat's tail, they're here, we've, I'm, it'll, she'd, isn't",
    "'red 'llama 'S 'RE 'ſ",
    "1234 apples, 56.78 %",
    "x1y2z3",
    "hello!!! ???...",
    "snake_case and __init__",
    "<b>bold</b> &amp; &lt;",
    "Tom &amp; Jerry &lt;3",
    "&amp;amp;amp;lt;",
    "&eacute;&EACUTE;&notit;&ampb&#65;&#x42&#0;&#128;&#x110000;&#1;",
    "&fjlig;&NotEqualTilde;&bogus;&#59;&#;&;&",
    "one &lt; two\nthree &gt; two",
    "a < b\n&eacute;",
    "&#8217;&rsquo;",
    "café",
    "cafe\u0301",
    "e\u0323\u0302 e\u0302\u0323 q\u0307\u0323",
    "ﬁne ﬂow oﬃce ĳs ŉ ǆ",
    "ｆｕｌｌ　ｗｉｄｔｈ１２３！",
    "“curly” ‘quotes’ don’t",
    "a\u0085b\u0091c\u0092 \u0081",
    "line\u2028sep\u2029para",
    "\x1b[31mred\x1b[0m \x1b[1;2m \x1b[٣m \x1b[x \x1b",
    "nul\x00 bell\x07 del\x7f bom\ufeff \ufffc",
    "tab\x0bfeed\x0cus\x1f",
    "ΟΔΟΣ ΣΑΣ Σ ΑΣ' ΑΣ'Β",
    "İstanbul Iğdır ıİ",
    "ẞ ß ǅ Ⅷ Ⓐ",
    "a\u0345b \u0345",
    "日本語、中国語。",
    "한국어 한글",
    "각 가\u11a7 \u1100\u1161\u11a8",
    "नमस्ते हिन्दी क़",
    "สวัสดี",
    "مرحبا بالعالم ١٢٣",
    "שָׁלוֹם",
    "Ελληνικά Ἀθῆναι",
    "Привет, МИР",
    "😀👩‍🚀🇩🇪❤️ 🏳️‍🌈",
    "a\u200bb\u200dc\u2060d\u00ade",
    "½ ² Ⅻ ٣ 〇 ㊿",
    "\ue000\U000f0000 \ufdd0 \uffff \U0010ffff",
    START,
    END,
    f"{START}a cat{END}",
    "<|ENDOFTEXT|> <|StartOfText|>",
    "<|ſtartoftext|>",
    "!<|endoftext|>",
    "<|endoftext|",
    "<start_of_text>",
    "<end_of_text>",
    "<START_OF_TEXT>",
    "&lt;|endoftext|&gt;",
    "ͅ<|endoftext|>",
    "\u1c89 \ua7cb \U00010d50",
    "\u09fe\u0345\u0301 \u0301\u09fe",
    "r\u00a0\u3000\u2003\u1680e",
    "z\u0316\u0301\u0316\u0301\u0345\u0300",
    "supercalifragilisticexpialidocious" * 4,
    "=-" * 50,
    "a" * 200,
    "the quick brown fox jumps over the lazy dog " * 4,
]


DAMAGED = [
    "schön, über Öl",
    "à la crème où ça",
    "¿el niño? ¡Olé!",
    "São João às avós",
    "zażółć Łódź",
    "žluťoučký kůň",
    "tűrő ŐŰ",
    "ığdır Şeker",
    "Ģimene ķīlis",
    "Привет, №5 ёж",
    "Її ґанок",
    "Καλημέρα Ώρα ΰ",
    "שלום",
    "مرحبا ١٢٣",
    "नमस्ते",
    "日本語、カタカナ",
    "한국어",
    "“it’s” — … • €",
    "😀👩‍🚀 ❤️ 🇩🇪",
    "a © ® ™ ° ± × ½ cat",
]


def byte_symbols():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    other = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(other)}}


BYTES = byte_symbols()


def symbols_of(word):
    symbols = [BYTES[b] for b in word.encode()]
    symbols[-1] += "</w>"
    return symbols


def merge(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def train():
    counts = collections.Counter(regex.findall(WORDS, CORPUS.lower()))
    words = {word: symbols_of(word) for word in counts}
    merges = []
    while len(merges) < MERGES_MAX:
        pairs = collections.Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        words = {word: merge(symbols, best) for word, symbols in words.items()}
    return merges


class References:
    def __init__(self, merges):
        self.ranks = {pair: i for i, pair in enumerate(merges)}
        symbols = list(BYTES.values())
        symbols += [s + "</w>" for s in symbols] + [a + b for a, b in merges] + [START, END]
        self.ids = {symbol: i for i, symbol in enumerate(symbols)}
        self.hf = self.hf_fast(merges)

    def hf_fast(self, merges):
        hf = Tokenizer(models.BPE(vocab=self.ids, merges=merges, end_of_word_suffix="</w>"))
        lower = [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Lowercase(),
        ]
        hf.normalizer = normalizers.Sequence(lower)
        split = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
        hf.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        hf.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in (START, END)])
        return hf

    def encode(self, text, special):
        out = [self.ids[START]]
        pattern = "|".join(map(regex.escape, special)) + "|" + WORDS
        for word in regex.findall(pattern, text, regex.IGNORECASE):
            if word in special:
                out.append(self.ids[special[word]])
                continue
            symbols = symbols_of(word)
            while True:
                known = [p for p in zip(symbols, symbols[1:]) if p in self.ranks]
                if not known:
                    break
                symbols = merge(symbols, min(known, key=self.ranks.get))
            out += [self.ids[symbol] for symbol in symbols]
        return out + [self.ids[END]]

    def row(self, i, text):
        basic = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
        cleaned = regex.sub(r"\s+", " ", basic).strip().lower()
        bare = basic.replace("_", " ").translate(str.maketrans("", "", string.punctuation)).lower()
        custom = {"<start_of_text>": START, "<end_of_text>": END}
        return {
            "i": i,
            "text": text,
            "cleaned": cleaned,
            "openai": self.encode(cleaned, {START: START, END: END}),
            "open_clip_lower": self.encode(" ".join(basic.split()).lower(), custom),
            "open_clip_whitespace": self.encode(" ".join(basic.split()), custom),
            "open_clip_canonicalize": self.encode(" ".join(bare.split()), custom),
            "hf_fast": [self.ids[START], *self.hf.encode(text).ids, self.ids[END]],
        }


def surrogates(text):
    """UTF-8 of UTF-16, as CESU-8 is."""
    units = text.encode("utf-16-le")
    pairs = [units[i : i + 2].decode("utf-16-le", "surrogatepass") for i in range(0, len(units), 2)]
    return b"".join(unit.encode("utf-8", "surrogatepass") for unit in pairs)


def damage(text, encoding, rng):
    """`text` read in the wrong encoding, with what else happens to it on the way."""
    data = bytearray(surrogates(text) if rng.random() < 0.1 else text.encode())
    if rng.random() < 0.2:
        data = data.replace(b"\xa0", b" ")
    if rng.random() < 0.2:
        data[rng.randrange(len(data))] = rng.choice(b"? \x1a\xa0\xc3")
    if rng.random() < 0.1:
        del data[-rng.randrange(1, 3) :]
    text = data.decode(encoding, "replace")
    if rng.random() < 0.1:
        text = regex.sub("[\x80-\x9f]", rng.choice("\ufffd?"), text)
    return text


def damaged_texts():
    rng = random.Random(1)
    for text in DAMAGED:
        for encoding in CHARMAP_ENCODINGS:
            yield text.encode().decode(encoding)
    for _ in range(240):
        text, encoding = rng.choice(DAMAGED), rng.choice(CHARMAP_ENCODINGS)
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            text = damage(text, encoding, rng)
        if rng.random() < 0.4:
            other = rng.choice(DAMAGED)
            if rng.random() < 0.3:
                other = damage(other, rng.choice(CHARMAP_ENCODINGS), rng)
            text = rng.choice([" ", "", "\n"]).join(rng.sample([text, other], 2))
        yield text


def main():
    merges = train()
    with open(f"{OUT}/merges.txt", "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    references = References(merges)
    with open(f"{OUT}/texts.jsonl", "w", encoding="utf-8") as file:
        for i, text in enumerate(TEXTS):
            file.write(json.dumps(references.row(i, text), separators=(",", ":")) + "\n")
    with open(f"{OUT}/mojibake.jsonl", "w", encoding="utf-8") as file:
        for i, text in enumerate(damaged_texts()):
            row = {"i": i, "text": text, "cleaned": references.row(i, text)["cleaned"]}
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
