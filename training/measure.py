"""Zero-shot accuracy and recall of a model in PyTorch, on what was held out: for the curves."""

import torch
from torch.nn import functional as F

from . import parts, pictures
from .words import DRAWING_ENSEMBLE, ENSEMBLE

ROWS = 200


def encode_texts(model, tokenizer, texts):
    rows = [tokenizer.rows(texts[i:i + ROWS]) for i in range(0, len(texts), ROWS)]
    device = model.logit_scale.device
    return torch.cat([model.text(ids.to(device), ends.to(device)) for ids, ends in rows])


def encode_names(model, tokenizer, names, templates):
    """The mean over the templates, of length 1 again."""
    total = sum(encode_texts(model, tokenizer, [t.format(n) for n in names]) for t in templates)
    return F.normalize(total, dim=-1)


def encode_pictures(model, pixels, aspects, indices, side, **normal):
    found = []
    for first in range(0, len(indices), ROWS):
        some = indices[first:first + ROWS]
        x = pictures.to_pixels(parts.take(pixels, some), False, **normal)
        x = pictures.centre_crops(x, side, torch.tensor([float(aspects[i]) for i in some]))
        found.append(model.image(x.to(model.logit_scale.device)))
    return torch.cat(found)


@torch.no_grad()
def accuracy(model, tokenizer, source, labels, indices, names, **normal):
    """{name: share of its pictures that are given it}; labels count from 0 over names; normal: the
    model's mean and std."""
    side = model.config["vision_config"]["image_size"]
    images = encode_pictures(model, source.pixels, source.aspects, indices, side, **normal)
    best = (images @ encode_names(model, tokenizer, names, ENSEMBLE).T).argmax(1).tolist()
    right, total = [0] * len(names), [0] * len(names)
    for index, guess in zip(indices, best):
        total[labels[index]] += 1
        right[labels[index]] += guess == labels[index]
    return {n: r / t for n, r, t in zip(names, right, total) if t}


@torch.no_grad()
def recall(images, texts, own, count):
    """The share of texts whose own image, own[i], is among the first `count`."""
    best = (texts @ images.T).topk(min(count, len(images))).indices
    return (best == torch.tensor(own, device=best.device)[:, None]).any(1).float().mean().item()


@torch.no_grad()
def emoji_recall(model, tokenizer, emoji, style, count=10):
    """The drawings of one style found by their names, among all of that style."""
    side = model.config["vision_config"]["image_size"]
    chosen = [i for i, s in enumerate(emoji.styles) if s == style]
    images = encode_pictures(model, emoji.pixels, [1.0] * len(emoji.pixels), chosen, side)
    names = [emoji.items[emoji.own[i]]["name"] for i in chosen]
    texts = encode_names(model, tokenizer, names, DRAWING_ENSEMBLE)
    return recall(images, texts, list(range(len(chosen))), count)
