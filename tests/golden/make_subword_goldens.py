#!/usr/bin/env python3
"""Makes tests/golden/subword/: small SentencePiece and WordPiece vocabularies, trained here on
the prose of this repository, and the ids that the modules sentencepiece and tokenizers give
for the texts below. The rules of normalisation are a short list of our own instead of
Unicode's, which keeps the files small.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install sentencepiece tokenizers
    /tmp/venv/bin/python tests/golden/make_subword_goldens.py

The prose changes and with it the pieces; make_pooler_goldens.py uses their ids and runs after it.
"""
import glob
import json
import os
import re
import string

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.implementations import BertWordPieceTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "subword")
ROOT = os.path.dirname(os.path.dirname(HERE))
SPACE = "\u2581"

# "from<TAB>to" in hexadecimal code points, as spm_train reads them.
RULES = {
    "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\u200b": "", "\ufb01": "fi", "\u2026": "...",
    "e\u0301": "\u00e9", "a\u0308": "\u00e4", "\uff21": "A", "\uff42": "b", "\u2460": "1", "\u00bd": "1/2", "\u00bd\u00bd": "one",
    "\u212b": "\u00c5", "A\u030a": "\u00c5", "\u0345": "", "\u01c6": "d\u017e", "\uac00\u11a8": "\uac01",
}

TEXTS = [
    "", " ", "a", "a photo of a cat", "A Photo of a Cat.", "two  dogs   in the snow", " leading and trailing ",
    "don't stop, can't stop!", "e\u0301te\u0301 \u00e9t\u00e9", "na\u00efve caf\u00e9 r\u00e9sum\u00e9", "\uff21\uff42\u3000\u2460\u00bd",
    "\ufb01ne \ufb01\ufb01", "tab\tnewline\nend", "zero\u200bwidth", "\u65e5\u672c\u8a9e\u306e\u732b", "\u4e2d\u6587\u732b and dog",
    "\U0001f431 cat \U0001f431\U0001f431", "\u00c5ngstr\u00f6m A\u030angstrom \u212bngstrom", SPACE, SPACE + "a" + SPACE * 2 + "b",
    "a" + SPACE + "photo", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "aaaaaaaaaaaaaaaa", "the model and the tokenizer",
    "snake_case and CamelCase", "<s> </s> <unk> <pad>", "text with <mask> inside", "before<mask>after", "a<unk>b",
    "[CLS] hello [SEP] [MASK]", "<table> x </table>", "user<sep>defined<sep><sep>symbols", "<0x41>", "100 % of 3.14",
    "\u0421\u043b\u043e\u043d \u0438 \u043a\u043e\u0442", "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u039f\u0394\u039f\u03a3", "\u0130stanbul",
    "\u00df\u1e9e", "q\u0307\u0323", "\u0915\u094d\u0937\u093f", "\u1112\u1161\u11ab\uae00", "\uac00\u11a8",
    "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306b", "\x01\x02control\x7f", "soft\u00adhyphen", "\ufffd?", "\u2028line\u2029para",
    "!!!", "...", "a.b,c;d", "\u201ccurly\u201d \u2018quotes\u2019", "\u00bfqu\u00e9?", "3\u2044 4", "x" * 101, "y" * 100,
    "this is a photo of images and texts, embeddings and searches; numbers 1234567890",
    "A LONG CAPTION OF MANY WORDS THAT GOES ON AND ON, SO THAT IT IS CUT WHERE THE CONTEXT ENDS",
    "r" + "\u00e9" * 30, "tokens [PAD] and [UNK]", "a  b\u00a0\u00a0c", "\u00bd\u00bd \u00bd\u00bd\u00bd", "mixed \U0001d54f\U0001d550 letters", "\u0e41\u0e21\u0e27\u0e19\u0e48\u0e32\u0e23\u0e31\u0e01",
]


def corpus():
    text = ""
    for path in sorted(glob.glob(os.path.join(ROOT, "docs", "*.md"))) + [os.path.join(ROOT, "README.md")]:
        with open(path, encoding="utf-8") as file:
            text += file.read()
    lines = [line.strip() for line in re.split(r"[\n.|]", text) if len(line.strip()) > 20]
    lines += [line.lower() for line in lines]
    return lines + ["a photo of a cat", "a photo of a dog", "\u00e9t\u00e9 \u00e9tait caf\u00e9 na\u00efve", "\u732b \u732b \u65e5\u672c"] * 20


def train(name, lines, **options):
    rules = os.path.join(OUT, "rules.tsv")
    with open(rules, "w", encoding="utf-8") as file:
        for before, after in RULES.items():
            file.write(" ".join(f"{ord(c):X}" for c in before) + "\t" + " ".join(f"{ord(c):X}" for c in after) + "\n")
    path = os.path.join(OUT, name)
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=path, normalization_rule_tsv=rules, minloglevel=2,
        num_threads=1, **options)
    os.remove(rules)
    os.remove(path + ".vocab")
    model = pb.ModelProto()
    with open(path + ".model", "rb") as file:
        model.ParseFromString(file.read())
    # Paths, options of training and the rules' text are of no use to a reader.
    model.trainer_spec.model_prefix = ""
    model.normalizer_spec.normalization_rule_tsv = ""
    with open(path + ".model", "wb") as file:
        file.write(model.SerializeToString())
    return model


def precompiled(model):
    return normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)


def special(name):
    return AddedToken(name, special=True, normalized=False)


def save(tokenizer, folder, config=None):
    os.makedirs(os.path.join(OUT, folder), exist_ok=True)
    tokenizer.save(os.path.join(OUT, folder, "tokenizer.json"), pretty=False)
    if config is not None:
        with open(os.path.join(OUT, folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)


def unigram(model, shift=False):
    pieces = [(p.piece, p.score) for p in model.pieces]
    if shift:
        pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + pieces[3:] + [("<mask>", 0.0)]
    unknown = [p for p, _ in pieces].index("<unk>")
    return Tokenizer(models.Unigram(pieces, unknown, byte_fallback=False))


def siglip(model):
    """As the repositories of SigLIP have it: everything in the normaliser."""
    tokenizer = unigram(model)
    punctuation = "".join("\\" + c for c in string.punctuation)
    tokenizer.normalizer = normalizers.Sequence([
        precompiled(model), normalizers.Lowercase(), normalizers.Replace(Regex(f"[{punctuation}]"), ""),
        normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    end = tokenizer.token_to_id("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", end)])
    tokenizer.add_special_tokens([special("</s>"), special("<unk>")])
    save(tokenizer, "siglip", {"pad_token": "</s>", "tokenizer_class": "SiglipTokenizer"})
    return tokenizer


def xlmr(model):
    tokenizer = unigram(model, shift=True)
    tokenizer.normalizer = normalizers.Sequence([precompiled(model), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.add_special_tokens([special(t) for t in ("<s>", "<pad>", "</s>", "<unk>")])
    tokenizer.add_special_tokens([AddedToken("<mask>", special=True, lstrip=True, normalized=False)])
    save(tokenizer, "xlmr")
    return tokenizer


def gemma(model):
    """BPE with byte fall-back, its merges made of its pieces by score."""
    vocab = {p.piece: i for i, p in enumerate(model.pieces)}
    merges = []
    for piece in model.pieces:
        if piece.type != 1:
            continue
        parts = [(piece.piece[:i], piece.piece[i:]) for i in range(1, len(piece.piece))]
        parts = [(a, b) for a, b in parts if a in vocab and b in vocab]
        parts.sort(key=lambda p: (vocab[p[0]], vocab[p[1]]))
        merges += [(piece.score, a, b) for a, b in parts]
    merges.sort(key=lambda m: -m[0])
    tokenizer = Tokenizer(models.BPE(
        vocab, [(a, b) for _, a, b in merges], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", SPACE)])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", vocab["<eos>"])])
    tokenizer.add_special_tokens([special(t) for t in ("<pad>", "<eos>", "<bos>", "<unk>")])
    tokenizer.add_tokens([AddedToken("<sep>", normalized=False), AddedToken("<Table>", normalized=True)])
    tokenizer.enable_padding(pad_id=vocab["<pad>"], pad_token="<pad>", length=None)
    save(tokenizer, "gemma")
    return tokenizer


def bert(lines):
    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(lines, vocab_size=400, min_frequency=1, show_progress=False)
    ids = {word: tokenizer.token_to_id(word) for word in ("[CLS]", "[SEP]")}
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    os.makedirs(os.path.join(OUT, "bert"), exist_ok=True)
    with open(os.path.join(OUT, "bert", "vocab.txt"), "w", encoding="utf-8") as file:
        file.writelines(word + "\n" for word, _ in words)
    save(tokenizer, "bert_json")
    return tokenizer


def main():
    os.makedirs(OUT, exist_ok=True)
    lines = corpus()
    uni = train("unigram", lines, vocab_size=500, model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
                character_coverage=0.9995)
    fairseq = train("fairseq", lines, vocab_size=400, model_type="unigram", pad_id=-1, unk_id=0, bos_id=1, eos_id=2)
    os.makedirs(os.path.join(OUT, "fairseq"), exist_ok=True)
    os.rename(os.path.join(OUT, "fairseq.model"), os.path.join(OUT, "fairseq", "sentencepiece.bpe.model"))
    bpe = train("bpe", [line.lower() for line in lines], vocab_size=700, model_type="bpe", pad_id=0, eos_id=1,
                bos_id=2, unk_id=3, eos_piece="<eos>", bos_piece="<bos>", byte_fallback=True,
                user_defined_symbols=["<sep>"], add_dummy_prefix=False, remove_extra_whitespaces=False)
    kept = train("kept", lines, vocab_size=500, model_type="unigram", user_defined_symbols=["<sep>", "photo of"],
                 byte_fallback=True, hard_vocab_limit=False)
    processors_of = {name: spm.SentencePieceProcessor(model_proto=m.SerializeToString())
                     for name, m in (("unigram", uni), ("fairseq", fairseq), ("bpe", bpe), ("kept", kept))}
    fast = {"siglip": siglip(uni), "xlmr": xlmr(fairseq), "gemma": gemma(bpe), "bert": bert(lines)}
    with open(os.path.join(OUT, "texts.jsonl"), "w", encoding="utf-8") as file:
        for i, text in enumerate(TEXTS):
            row = {"i": i, "text": text}
            row["unigram"] = processors_of["unigram"].encode(text) + [1]
            shifted = [{0: 3, 1: 0, 2: 2}.get(t, t + 1) for t in processors_of["fairseq"].encode(text)]
            row["fairseq"] = [0] + shifted + [2]
            row["bpe"] = processors_of["bpe"].encode(text) + [1]
            row["kept"] = processors_of["kept"].encode(text) + [2]
            for name, tokenizer in fast.items():
                row[name] = tokenizer.encode(text).ids
            file.write(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n")


main()
