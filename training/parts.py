"""What a batch is made of: labelled pictures, and pictures with texts of their own."""

import random

import numpy as np
import torch

from . import pictures
from .words import PHOTO_TEMPLATES

class Classes:
    """The classes of all labelled sets together; each has one or more names, the first is its own.

    broader[i]: the class that a picture of class i also shows, or None. ignore[i, j]: see
    losses.label_loss()."""

    def __init__(self, names, broader=(), unclear=()):
        """broader: {name: names of classes that are of that kind}; unclear: pairs of names."""
        self.names = names
        places = {n[0]: i for i, n in enumerate(names)}
        self.broader = [None] * len(names)
        self.ignore = torch.zeros(len(names), len(names), dtype=torch.bool)
        pairs = list(unclear)
        for name, kinds in dict(broader).items():
            for kind in kinds:
                if name in places and kind in places:
                    self.broader[places[kind]] = places[name]
                    pairs.append((name, kind))
        for a, b in pairs:
            if a in places and b in places:
                self.ignore[places[a], places[b]] = self.ignore[places[b], places[a]] = True

    def draw(self, label):
        """The label, or now and then the broader one that is as true: about as often for a broad
        class of three kinds as for one of six, lest every animal at full size be a dog."""
        broader = self.broader[label]
        if broader is None:
            return label
        return broader if random.random() < min(0.5, 1.5 / self.broader.count(broader)) else label

    def texts(self):
        """One text for each class: one template for all, so that the rows are of one length."""
        template = random.choice(PHOTO_TEMPLATES)
        return [template.format(n[0] if random.random() < 0.6 else random.choice(n))
                for n in self.names]


def take(array, indices):
    """Rows of a mapped array, read in the order of the file."""
    order = np.argsort(indices, kind="stable")
    rows = np.empty((len(indices), *array.shape[1:]), array.dtype)
    rows[order] = array[np.asarray(indices)[order]]
    return rows


class Part:
    """How the pictures of one source are cut and coloured.

    how: area of a crop, least and most; coloured=False leaves the colours alone; mean and std of
    the model."""

    def __init__(self, pixels, aspects, area, coloured=True, **normal):
        self.pixels, self.aspects = pixels, aspects
        self.area, self.coloured, self.normal = area, coloured, normal

    def cut(self, indices, side):
        pixels = pictures.to_pixels(take(self.pixels, indices), True, **self.normal)
        aspect = torch.tensor([float(self.aspects[i]) for i in indices])
        pixels = pictures.random_crops(pixels, side, aspect, self.area)
        return pictures.jitter(pixels) if self.coloured else pixels


class Labelled(Part):
    def __init__(self, source, labels, members, classes, count, **how):
        """source: sources.Pictures; members: the pictures to train on; labels: of all pictures."""
        super().__init__(source.pixels, source.aspects, **how)
        self.labels, self.members, self.classes = labels, members, classes
        self.count = min(count, len(members))

    def draw(self, side):
        chosen = random.sample(self.members, self.count)
        labels = [self.classes.draw(self.labels[i]) for i in chosen]
        return self.cut(chosen, side), torch.tensor(labels)


class Pairs(Part):
    """Things that have pictures and texts; a batch holds a thing at most once."""

    def __init__(self, source, things, count, weight, templates=("{}",), **how):
        """things: [([pictures], [texts])]; weight: of its loss."""
        super().__init__(source.pixels, source.aspects, **how)
        self.things, self.count, self.weight = things, min(count, len(things)), weight
        self.templates = templates
        self.share(0, 1, 0)

    def share(self, rank, processes, seed):
        """A batch is of all processes, whose pairs are each other's negatives: each draws the whole of
        it in the same way and takes its part, so that here, too, a thing is there at most once."""
        self.rank, self.processes, self.order = rank, processes, random.Random(seed)
        self.count = min(self.count, len(self.things) // processes)
        if not self.count:
            raise SystemExit(f"{len(self.things)} pairs to train on, expected {processes} or more")

    def draw(self, side):
        chosen = self.order.sample(self.things, self.count * self.processes)[self.rank::self.processes]
        texts = [random.choice(self.templates).format(random.choice(t)) for _, t in chosen]
        return self.cut([random.choice(own) for own, _ in chosen], side), texts
