"""Batches of pictures: cut, turned and coloured at random, a whole batch at a time.

Pictures lie decoded in uint8 arrays [count, side, side, 3 or 4], squeezed to a square; `aspect` is
width over height as it was. Sampling a crop undoes the squeeze, so that nothing is distorted that
the augmentation does not mean to distort.
"""

import random

import torch
from torch.nn import functional as F

from .checkpoint import MEAN, STD


def to_pixels(array, train, mean=MEAN, std=STD):
    """uint8 [n, side, side, 3 or 4] to normalised [n, 3, side, side]; what is transparent is laid on
    white, and half of the time on any colour when training."""
    x = torch.from_numpy(array).permute(0, 3, 1, 2).float() / 255
    if x.shape[1] == 4:
        ground = torch.ones(len(x), 3, 1, 1)
        if train:
            coloured = torch.rand(len(x)) < 0.5
            ground[coloured] = torch.rand(int(coloured.sum()), 3, 1, 1)
        x = x[:, :3] * x[:, 3:] + ground * (1 - x[:, 3:])
    return (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def random_crops(x, side, aspect, area):
    """Crops of a share of the picture's area between the two of `area`, of a shape near to a square,
    mirrored half of the time, at the side asked for. A share above 1 sees the picture from further
    away, its own mirror image around it: what has few pixels is then as sharp as what has many."""
    count, whole = len(x), max(1.0, area[1] ** 0.5)
    scale = torch.empty(count).uniform_(*area).sqrt()
    shape = torch.empty(count).uniform_(-0.14, 0.14).exp()
    wide, high = (scale * shape).clamp(max=whole), (scale / shape).clamp(max=whole)
    wide = wide * torch.where(aspect > 1, 1 / aspect, 1.0)
    high = high * torch.where(aspect < 1, aspect, 1.0)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = wide * torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = high
    theta[:, 0, 2] = (torch.rand(count) * 2 - 1) * (1 - wide)
    theta[:, 1, 2] = (torch.rand(count) * 2 - 1) * (1 - high)
    grid = F.affine_grid(theta, (count, 3, side, side), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def centre_crops(x, side, aspect):
    """What clipd does at the end: the shortest side to `side`, and the middle of it."""
    count = len(x)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = torch.where(aspect > 1, 1 / aspect, 1.0)
    theta[:, 1, 1] = torch.where(aspect < 1, aspect, 1.0)
    if bool((aspect == 1).all()):
        return F.interpolate(x, (side, side), mode="bicubic", antialias=True)
    grid = F.affine_grid(theta, (count, 3, side, side), align_corners=False)
    return F.grid_sample(x, grid, mode="bicubic", padding_mode="reflection", align_corners=False)


def jitter(x, strength=0.6, colourless=0.2):
    """Contrast, saturation, hue, brightness and the tint of each picture, on normalised pixels. Some
    lose their colours altogether: green alone makes no bird."""
    def between(low, high):
        return 1 + strength * torch.empty(len(x), 1, 1, 1).uniform_(low, high)

    grey = x.mean((1, 2, 3), keepdim=True)
    x = (x - grey) * between(-0.3, 0.3) + grey
    grey = x.mean(1, keepdim=True)
    colours = (x - grey) * between(-0.5, 0.4) * (torch.rand(len(x), 1, 1, 1) >= colourless)
    turn = strength * 0.7 * torch.randn(len(x), 1, 1, 1)  # radians, about the axis of greys
    across = (colours.roll(1, 1) - colours.roll(-1, 1)) / 3 ** 0.5
    x = grey + colours * turn.cos() + across * turn.sin()
    return (x + strength * 0.2 * torch.randn(len(x), 1, 1, 1)
            + strength * 0.05 * torch.randn(len(x), 3, 1, 1))


def some(x, share):
    """The numbers of about `share` of a batch's pictures, at random."""
    return (torch.rand(len(x)) < share).nonzero()[:, 0]


def swap_details(x, share=0.6):
    """Some of the pictures get the fine structure of others in the batch, or lose theirs to one that
    has none: small pictures (CIFAR-10's) have no details, and a class is not known by its own, lest
    all that is sharp, in leaves, be a bird."""
    few, side = some(x, share), x.shape[-1]
    coarse = round(side * random.uniform(0.25, 0.7))

    def soften(pictures):
        small = F.interpolate(pictures, (coarse, coarse), mode="bicubic", antialias=True)
        return F.interpolate(small, (side, side), mode="bicubic")

    if not len(few):
        return x
    others = x[torch.randperm(len(x))[:len(few)]]
    amount = torch.empty(len(few), 1, 1, 1).uniform_(0.5, 1.2)
    out = x.clone()
    out[few] = soften(x[few]) + amount * (others - soften(others))
    return out


def patches(x, share):
    """Some of the pictures, `share` of all or of each, get a coat of dark and light patches in their
    middle, with a part of their own shades."""
    few = some(x, share)
    if not len(few):
        return x
    count, side = len(few), x.shape[-1]
    noise = F.interpolate(torch.randn(count, 1, 5, 5), (side, side), mode="bicubic")
    light = (12 * (noise + 0.4 * torch.randn(count, 1, 1, 1))).sigmoid()
    dark, bright = (torch.empty(count, 1, 1, 1).uniform_(*b) for b in ((-1.4, -0.6), (0.6, 1.6)))
    axis = torch.linspace(-1, 1, side)
    centre = torch.empty(2, count, 1, 1, 1).uniform_(-0.3, 0.3)
    radius = torch.empty(2, count, 1, 1, 1).uniform_(0.3, 1.0)
    away = (((axis.view(1, 1, 1, -1) - centre[0]) / radius[0]) ** 2
            + ((axis.view(1, 1, -1, 1) - centre[1]) / radius[1]) ** 2)
    inside = (8 * (1 - away)).sigmoid()
    own = x[few]
    shades = own.mean(1, keepdim=True)
    shades = shades - shades.mean((2, 3), keepdim=True)
    coat = dark + (bright - dark) * light + 0.8 * shades
    out = x.clone()
    out[few] = own + inside * (coat - own)
    return out
