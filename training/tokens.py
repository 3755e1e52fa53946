"""CLIP's byte-level BPE: learnt from a corpus, written and read as Hugging Face does it."""

import json
import os
import re
from collections import Counter

import torch

START, END = "<|startoftext|>", "<|endoftext|>"
# The letters, single digits and runs of anything else that CLIP cuts a lower-case text into.
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+")


def byte_letters():
    """One printable letter for each of the 256 bytes, as GPT-2 chose them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in plain}
    for b in range(256):
        if b not in letters:
            letters[b] = chr(256 + len(letters) - len(plain))
    return letters


LETTERS = byte_letters()


def split_text(text):
    words = WORDS.findall(" ".join(text.lower().split()))
    return ["".join(LETTERS[b] for b in word.encode()) for word in words]


def join_pair(symbols, a, b):
    joined, i = [], 0
    while i < len(symbols):
        if symbols[i:i + 2] == [a, b]:
            joined.append(a + b)
            i += 2
        else:
            joined.append(symbols[i])
            i += 1
    return joined


class Tokenizer:
    def __init__(self, vocabulary, merges, context):
        self.vocabulary, self.merges, self.context = vocabulary, merges, context
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.start, self.end = vocabulary[START], vocabulary[END]
        self.known = {}

    @classmethod
    def learn(cls, counts, size, context):
        """counts: how often each text of the corpus counts."""
        words = Counter()
        for text, count in counts.items():
            for word in split_text(text):
                words[word] += count
        split = {w: [*w[:-1], w[-1] + "</w>"] for w in words}
        merges = []
        while len(merges) < size - 514:
            pairs = Counter()
            for word, symbols in split.items():
                for pair in zip(symbols, symbols[1:]):
                    pairs[pair] += words[word]
            best = max(pairs, key=lambda pair: (pairs[pair], pair), default=None)
            if best is None or pairs[best] < 2:
                break
            merges.append(best)
            for word, symbols in split.items():
                if best[0] in symbols:
                    split[word] = join_pair(symbols, *best)
        plain = [LETTERS[b] for b in [*range(33, 127), *range(161, 173), *range(174, 256)]]
        plain += [chr(256 + i) for i in range(256 - len(plain))]
        tokens = plain + [c + "</w>" for c in plain] + [a + b for a, b in merges] + [START, END]
        return cls({token: i for i, token in enumerate(tokens)}, merges, context)

    @classmethod
    def load(cls, directory, context):
        with open(os.path.join(directory, "vocab.json"), encoding="utf-8") as file:
            vocabulary = json.load(file)
        with open(os.path.join(directory, "merges.txt"), encoding="utf-8") as file:
            lines = file.read().split("\n")[1:]
        return cls(vocabulary, [tuple(line.split()) for line in lines if line.strip()], context)

    def save(self, directory):
        with open(os.path.join(directory, "vocab.json"), "w", encoding="utf-8") as file:
            json.dump(self.vocabulary, file, ensure_ascii=False)
        with open(os.path.join(directory, "merges.txt"), "w", encoding="utf-8") as file:
            file.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in self.merges))

    def word_tokens(self, word):
        if word not in self.known:
            symbols = [*word[:-1], word[-1] + "</w>"]
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]),
                           key=lambda pair: self.ranks.get(pair, len(self.ranks)))
                if best not in self.ranks:
                    break
                symbols = join_pair(symbols, *best)
            self.known[word] = [self.vocabulary[s] for s in symbols]
        return self.known[word]

    def __call__(self, text):
        tokens = [token for word in split_text(text) for token in self.word_tokens(word)]
        return [self.start, *tokens[:self.context - 2], self.end]

    def rows(self, texts):
        """(ids [n, longest], the index of each row's end token), as the text tower wants them."""
        rows = [self(text) for text in texts]
        longest = max(len(row) for row in rows)
        ids = torch.tensor([row + [self.end] * (longest - len(row)) for row in rows])
        return ids, torch.tensor([len(row) - 1 for row in rows])
