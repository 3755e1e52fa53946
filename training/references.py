"""Writes what tests/http/test_starter.py holds the service against: tests/golden/starter.json.

    python3 -m training.references

Embeddings of our own pictures and of a few texts, what photographs show, and the accuracy on the
held-out tenth of CIFAR-10 that the model card states: all by PyTorch in fp32 with Pillow's decoders
and bicubic resize, from the files of models/starter as they are. Nothing here asks clipd.
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
PHOTOGRAPHS = ("000000039769.jpg", "cat.jpeg", "dog.jpeg")
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


def accuracy(model, settings, classes, pairs):
    """(top-1, {label: top-1}) of [(label, file)]."""
    by = {}
    for label, data in pairs:
        image = model.image(preprocess(io.BytesIO(data), settings))
        by.setdefault(label, []).append(words.CIFAR[(image @ classes.T).argmax().item()] == label)
    hits = [hit for some in by.values() for hit in some]
    return sum(hits) / len(hits), {label: sum(some) / len(some) for label, some in by.items()}


def rounded(rows):
    return [[round(x, DIGITS) for x in row] for row in rows.tolist()]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(prog="training.references")
    parser.add_argument("--model", default="models/starter")
    parser.add_argument("--data", default="../shared/training")
    parser.add_argument("--pictures", default="docs/pictures")
    parser.add_argument("--photographs", default="../shared/reference/photos")
    parser.add_argument("--out", default="tests/golden/starter.json")
    args = parser.parse_args()
    model, tokenizer, settings = checkpoint.load(args.model)
    pixels = [preprocess(os.path.join(args.pictures, f"{n}.jpg"), settings) for n in PICTURES]
    images = torch.cat([model.image(p) for p in pixels])
    texts = measure.encode_texts(model, tokenizer, list(TEXTS))
    classes = measure.encode_names(model, tokenizer, words.CIFAR, words.ENSEMBLE)
    shown = {}
    for name in PHOTOGRAPHS:
        image = model.image(preprocess(os.path.join(args.photographs, name), settings))
        shown[name] = words.CIFAR[(image @ classes.T).argmax().item()]
    with open(os.path.join(args.model, "model.safetensors"), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    pairs = evaluate.read_held_out(os.path.join(args.data, "cifar10-2000.tar"))
    first, by = accuracy(model, settings, classes, pairs)
    value = {"weights_sha256": digest, "logit_scale_exp": round(model.logit_scale.exp().item(), DIGITS),
             "pictures": dict(zip(PICTURES, rounded(images))),
             "texts": {t: {"tokens": tokenizer(t), "embedding": e} for t, e in zip(TEXTS, rounded(texts))},
             "photographs": shown, "cifar10_top1": round(first, 4),
             "cifar10_by_class": {n: round(s, 4) for n, s in sorted(by.items())}}
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=0)
        file.write("\n")
    print(f"{args.out}: CIFAR-10 {first:.2%}, {shown}")


if __name__ == "__main__":
    main()
