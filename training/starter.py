"""The recipe of models/starter: its data, its shape, and how it begins."""

import os
from collections import Counter

import torch

from . import parts, pictures
from .emoji import Emoji
from .sources import Pictures
from .tokens import Tokenizer
from .words import (ALSO, BROADER, CIFAR, COATED, DRAWING_TEMPLATES, LEFT_OUT, OFTEN, PHOTO_TEMPLATES,
                    UNCLEAR, held_out, label_of, tiny_names)

VOCABULARY, CONTEXT = 4096, 32

class Data:
    """Everything under `folder`, decoded once into `cache`, and what of it is held out."""

    def __init__(self, folder, cache):
        def pictures_of(name, side):
            return Pictures(os.path.join(folder, name), side, cache)

        words = tiny_names(os.path.join(folder, "tiny-imagenet-names.json"))
        self.cifar = pictures_of("cifar10-2000.tar", 32)
        self.tiny = pictures_of("tiny-imagenet-250.tar", 64)
        self.flickr = pictures_of("flickr8k-1000.tar", 96)
        self.emoji = Emoji(cache)
        names = [[c, *ALSO.get(c, [])] for c in CIFAR]
        names += list(words.values())
        self.classes = parts.Classes(names, BROADER, UNCLEAR)
        self.coats = torch.tensor([0.5 if n[0] in COATED else 0.03 for n in names])
        numbers = {**{c: i for i, c in enumerate(CIFAR)},
                   **{k: len(CIFAR) + i for i, k in enumerate(words)}}
        self.labels = {id(s): [numbers[label_of(n)] for n in s.names] for s in (self.cifar, self.tiny)}

    @staticmethod
    def split(source):
        """(training, held-out) indices."""
        held = held_out(source.names)
        whole = range(len(source.names))
        return ([i for i in whole if source.names[i] not in held],
                [i for i in whole if source.names[i] in held])

    def disguise(self, pixels, labels):
        """Labelled pictures so that neither a coat nor fine structure tells what they show: without
        it every sharp black and white animal is a penguin, and what is sharp between leaves a bird."""
        return pictures.swap_details(pictures.patches(pixels, self.coats[labels]))

    def members(self, source):
        """What is trained on, the classes that are learnt last (OFTEN) twice as often."""
        free, labels = self.split(source)[0], self.labels[id(source)]
        often = [i for i in free if self.classes.names[labels[i]][0] in OFTEN]
        return free + often

    def emoji_things(self):
        things = [([], emoji_texts(item)) for item in self.emoji.items]
        for picture, (item, style) in enumerate(zip(self.emoji.own, self.emoji.styles)):
            if style != LEFT_OUT:
                things[item][0].append(picture)
        return [thing for thing in things if thing[0]]

    def parts(self, counts):
        """The four parts of a batch; counts: of CIFAR, Tiny ImageNet, emoji and Flickr8k."""
        cifar, tiny, emoji, flickr = counts
        labelled = [
            parts.Labelled(s, self.labels[id(s)], self.members(s), self.classes, n, area=area)
            for s, n, area in ((self.cifar, cifar, (0.6, 2.5)), (self.tiny, tiny, (0.45, 1.15)))]
        captions = [([i], self.flickr.texts[i]) for i in self.split(self.flickr)[0]]
        pairs = [
            parts.Pairs(self.flickr, captions, flickr, 0.1, area=(0.4, 1)),
            parts.Pairs(self.emoji, self.emoji_things(), emoji, 0.5, DRAWING_TEMPLATES,
                        area=(0.7, 1), coloured=False)]
        return labelled, pairs

    def tokenizer(self):
        """Learnt from the captions, the names and the templates."""
        counts = Counter()
        for texts in self.flickr.texts:
            counts.update(texts)
        for names in self.classes.names:
            counts.update({n: 60 for n in names})
        for template in {*PHOTO_TEMPLATES, *DRAWING_TEMPLATES}:
            counts[template.replace("{}", "")] += 500
        for item in self.emoji.items:
            counts[item["name"]] += 8
            for word in item["keywords"]:
                counts[word] += 2
        return Tokenizer.learn(counts, VOCABULARY, CONTEXT)


def emoji_texts(item):
    """The name most often, the name with a keyword, and keywords alone."""
    name, words = item["name"], item["keywords"]
    texts = [name] * max(3, 2 * len(words))
    texts += [f"{name}, {word}" for word in words]
    texts += [f"{a}, {b}" for a, b in zip(words, words[1:])]
    return texts


def config(vocabulary, embed=192, side=64, patch=8, vision=(192, 6, 6), text=(128, 2, 4)):
    def tower(shape):
        width, layers, heads = shape
        return {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers,
                "num_attention_heads": heads, "hidden_act": "gelu", "layer_norm_eps": 1e-5,
                "projection_dim": embed}

    return {"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": embed,
            "logit_scale_init_value": 2.6592,
            "text_config": {"model_type": "clip_text_model", **tower(text),
                            "vocab_size": vocabulary, "max_position_embeddings": CONTEXT,
                            "bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1,
                            "pad_token_id": vocabulary - 1},
            "vision_config": {"model_type": "clip_vision_model", **tower(vision), "image_size": side,
                              "patch_size": patch, "num_channels": 3}}
