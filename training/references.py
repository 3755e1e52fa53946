"""Writes what tests/http/test_starter.py holds the service against: tests/golden/starter.json.

    python3 -m training.references

Embeddings of our own pictures and of a few texts, and the accuracies on held-out pictures, of Tiny
ImageNet on a fifth of them: all by PyTorch in fp32 with Pillow's decoders and bicubic resize, from the files
of models/starter as they are. Nothing here asks clipd.
"""

import argparse
import hashlib
import io
import json
import os

import numpy as np
import torch
from PIL import Image

from . import checkpoint, evaluate, measure, words

TEXTS = ("a photo of a cat.", "a photo of a ship.", "two dogs play in the snow", "grinning face emoji",
         "A man, 42, rides his bike; don't ask why!")
PICTURES = ("airplane", "car", "cat", "dog", "ship")
DIGITS = 6


def preprocess(file, settings):
    """Hugging Face's: the shortest side to size, the middle of it, then mean and std."""
    side = settings["crop_size"]["height"]
    with Image.open(file) as image:
        image = image.convert("RGB")
        short = min(image.size)
        size = [side if n == short else int(side * n / short) for n in image.size]
        image = image.resize(size, Image.BICUBIC)
    left, top = ((n - side) // 2 for n in size)
    pixels = np.asarray(image.crop((left, top, left + side, top + side)), np.float32) / 255
    pixels = (pixels - settings["image_mean"]) / settings["image_std"]
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]


def accuracy(model, settings, classes, labels, pairs):
    """(top-1, {label: top-1}) of [(label, file)]."""
    by = {}
    for label, data in pairs:
        image = model.image(preprocess(io.BytesIO(data), settings))
        by.setdefault(label, []).append(labels[(image @ classes.T).argmax().item()] == label)
    hits = [hit for some in by.values() for hit in some]
    return (round(sum(hits) / len(hits), 4),
            {label: round(sum(some) / len(some), 4) for label, some in sorted(by.items())})


def rounded(rows):
    return [[round(x, DIGITS) for x in row] for row in rows.tolist()]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(prog="training.references")
    parser.add_argument("--model", default="models/starter")
    parser.add_argument("--data", default="../shared/training")
    parser.add_argument("--pictures", default="docs/pictures")
    parser.add_argument("--out", default="tests/golden/starter.json")
    args = parser.parse_args()
    model, tokenizer, settings = checkpoint.load(args.model)
    pixels = [preprocess(os.path.join(args.pictures, f"{n}.jpg"), settings) for n in PICTURES]
    images = torch.cat([model.image(p) for p in pixels])
    texts = measure.encode_texts(model, tokenizer, list(TEXTS))
    with open(os.path.join(args.model, "model.safetensors"), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    found = {}
    for name, pairs, labels in evaluate.held_out_sets(args.data):
        pairs = evaluate.sample(pairs, words.TESTED[name])
        classes = measure.encode_names(model, tokenizer, labels, words.ENSEMBLE)
        found[name] = accuracy(model, settings, classes, labels, pairs)
    value = {"weights_sha256": digest, "logit_scale_exp": round(model.logit_scale.exp().item(), DIGITS),
             "pictures": dict(zip(PICTURES, rounded(images))),
             "texts": {t: {"tokens": tokenizer(t), "embedding": e} for t, e in zip(TEXTS, rounded(texts))},
             "top1": {name: first for name, (first, _) in found.items()},
             "cifar10_by_class": found["CIFAR-10"][1]}
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=0)
        file.write("\n")
    print(f"{args.out}: {value['top1']}")


if __name__ == "__main__":
    main()
