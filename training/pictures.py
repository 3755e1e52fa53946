"""Batches of pictures: cut, turned and coloured at random, a whole batch at a time.

Pictures lie decoded in uint8 arrays [count, side, side, 3 or 4], squeezed to a square; `aspect` is
width over height as it was. Sampling a crop undoes the squeeze, so that nothing is distorted that
the augmentation does not mean to distort.
"""

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


def random_crops(x, side, aspect, area_min):
    """Crops of area_min to all of the picture's area, of a shape near to a square, mirrored half of
    the time, at the side asked for."""
    count = len(x)
    scale = torch.empty(count).uniform_(area_min, 1).sqrt()
    shape = torch.empty(count).uniform_(-0.14, 0.14).exp()
    wide, high = (scale * shape).clamp(max=1), (scale / shape).clamp(max=1)
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
