"""The objectives of contrastive training. Features are of length 1; rows are images."""

import math

import torch
from torch.nn import functional as F

SCALE_MAX = math.log(100)  # the largest logit_scale, as CLIP's authors have it


def softmax_loss(images, texts, scale):
    """CLIP's: each image against all texts and each text against all images; scale: exp(s)."""
    logits = scale * images @ texts.T
    own = torch.arange(len(images), device=images.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def sigmoid_loss(images, texts, scale, bias):
    """SigLIP's: each pair is a yes or a no by itself."""
    logits = scale * images @ texts.T + bias
    signs = 2 * torch.eye(len(images), device=images.device) - 1
    return -F.logsigmoid(signs * logits).sum() / len(images)


def label_loss(images, classes, labels, scale, ignore, smoothing=0.0):
    """Labelled images against one text for each class.

    Two images of a label are no negatives of each other here, as they would be in a batch of
    pairs. ignore[i, j]: an image of class i says nothing of class j, neither yes nor no (a tabby is
    a cat, and no cat of another set is known not to be a tabby)."""
    logits = (scale * images @ classes.T).masked_fill(ignore[labels], -1e4)
    logs = logits.log_softmax(1)
    own = logs.gather(1, labels[:, None])[:, 0]
    counted = ~ignore[labels]
    others = (logs * counted).sum(1) / counted.sum(1)
    return -((1 - smoothing) * own + smoothing * others).mean()


def clamp_scale(logit_scale):
    with torch.no_grad():
        logit_scale.clamp_(0, SCALE_MAX)
