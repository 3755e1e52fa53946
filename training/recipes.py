"""What a run of train.py works on: the starter's recipe, or a model and pairs to fine-tune it on."""

import os
from dataclasses import dataclass, field

import torch

from . import checkpoint, initialise, measure, parts, sources, starter
from .clip import Clip
from .words import LEFT_OUT, held_out, label_of

DEFAULTS = {
    "starter": {"batch": "100,120,28,8", "optimizer": "muon", "rate": 2e-3, "decay": 0.05, "warmup": 60,
                "schedule": "linear", "average": 0.995, "phases": "0:32:1,.6:64:.5,.96:64:1"},
    "tune": {"batch": "64", "optimizer": "adamw", "rate": 1e-5, "decay": 0.2, "warmup": 20,
             "schedule": "cosine", "average": 0.99, "phases": ""}}


@dataclass
class Run:
    model: Clip
    tokenizer: object
    preprocessor: dict
    measure: object  # of a model: {name: number}
    phases: list  # (from which progress, side, share of the patches kept)
    labelled: list = field(default_factory=list)
    pairs: list = field(default_factory=list)
    classes: object = None
    disguise: object = None  # of (labelled pixels, labels): what is done to them besides


def parse_phases(text, side):
    phases = [tuple(float(n) for n in phase.split(":")) for phase in text.split(",") if phase]
    return phases or [(0.0, side, 1.0)]


def open_run(args, processes):
    """The first process decodes; the others then find it done."""
    os.makedirs(args.work, exist_ok=True)
    for rank in (0, 1):
        if (rank == 0) == (processes.rank == 0):
            run = open_starter(args) if args.recipe else open_tuning(args)
        processes.wait()
    return run


def open_starter(args):
    data = starter.Data(args.data, os.path.join(args.work, "decoded"))
    folder = os.path.join(args.work, "tokens")
    if os.path.exists(os.path.join(folder, "merges.txt")):
        tokenizer = starter.Tokenizer.load(folder, starter.CONTEXT)
    else:
        tokenizer = data.tokenizer()
        os.makedirs(folder, exist_ok=True)
        tokenizer.save(folder)
    config = starter.config(len(tokenizer.vocabulary))
    model = Clip(config)
    labelled, pairs = data.parts(args.batch)
    initialise.small(model, torch.cat([part.draw(48)[0] for part in labelled for _ in range(8)]))
    side = config["vision_config"]["image_size"]

    def measured(model):
        classes, found = data.classes, {}
        for name, source, first, last, most in (("CIFAR-10", data.cifar, 0, 10, 600),
                                                ("Tiny ImageNet", data.tiny, 10, 210, 1000)):
            held = data.split(source)[1]
            held = held[::max(1, len(held) // most)]
            labels = [label - first for label in data.labels[id(source)]]
            names = [n[0] for n in classes.names[first:last]]
            by = measure.accuracy(model, tokenizer, source, labels, held, names)
            found[name] = sum(by.values()) / len(by)
        found["emoji recall@10"] = measure.emoji_recall(model, tokenizer, data.emoji, LEFT_OUT)
        return found

    return Run(model, tokenizer, checkpoint.starter_preprocessor(side), measured,
               parse_phases(args.phases, side), labelled, pairs, data.classes,
               data.disguise)


def freeze(model, tune):
    """all; text: the image tower is locked (LiT); last:N: the last N layers of both towers, the norms
    after them, the projections and the scale."""
    if tune == "all":
        return
    if tune == "text":
        model.vision_model.requires_grad_(False)
        model.visual_projection.requires_grad_(False)
        return
    kind, _, count = tune.partition(":")
    if kind != "last" or not count.isdigit() or int(count) < 1:
        raise SystemExit(f"--tune {tune}: expected all, text or last:N")
    model.requires_grad_(False)
    free = [model.visual_projection, model.text_projection, model.vision_model.post_layernorm,
            model.text_model.final_layer_norm]
    for tower in (model.vision_model, model.text_model):
        free += list(tower.encoder.layers)[-int(count):]
    for module in free:
        module.requires_grad_(True)
    model.logit_scale.requires_grad_(True)


def add_pairs(run, args, source, members, how):
    things = [([i], source.texts[i]) for i in members if source.texts[i]]
    if len(things) < len(members):
        print(f"{args.data}: {len(members) - len(things)} pictures without a text are left out")
    run.pairs = [parts.Pairs(source, things, args.batch[0], 1.0, **how)]


def add_labels(run, args, source, members, how):
    """Pictures in folders: the folders' names are the classes. Returns them, and each picture's."""
    words = [label_of(n).replace("_", " ") for n in source.names]
    if not all(words):
        raise SystemExit(f"{args.data}: {source.names[words.index('')]} has neither a text nor a "
                         "folder that labels it")
    names = sorted(set(words))
    run.classes = parts.Classes([[n] for n in names])
    labels = [names.index(w) for w in words]
    run.labelled = [parts.Labelled(source, labels, members, run.classes, args.batch[0], **how)]
    return names, labels


def open_tuning(args):
    model, tokenizer, preprocessor = checkpoint.load(args.model)
    freeze(model, args.tune)
    side = model.config["vision_config"]["image_size"]
    source = sources.Pictures(args.data, max(side, round(side * 1.15)),
                              os.path.join(args.work, "decoded"))
    whole, paired = range(len(source.names)), any(source.texts)
    held = held_out(source.names, (lambda name: "") if paired else label_of)
    free = [i for i in whole if source.names[i] not in held]
    normal = {"mean": preprocessor.get("image_mean", checkpoint.MEAN),
              "std": preprocessor.get("image_std", checkpoint.STD)}
    how = {"area": (0.9, 1), "coloured": False, **normal}
    run = Run(model, tokenizer, preprocessor, None, parse_phases(args.phases, side))
    if paired:
        add_pairs(run, args, source, free, how)
        kept = [i for i in whole if source.names[i] in held and source.texts[i]][:1000]
    else:
        names, labels = add_labels(run, args, source, free, how)
        kept = [i for i in whole if source.names[i] in held]
        kept = kept[::max(1, len(kept) // 1000)]  # of every label some
    if not kept:
        print(f"{args.data}: nothing is held out, so nothing is measured: expected ten "
              + ("pairs" if paired else "pictures of a label"))

    @torch.no_grad()
    def measured(model):
        if not kept:
            return {}
        if not paired:
            by = measure.accuracy(model, tokenizer, source, labels, kept, names, **normal)
            return {f"accuracy of {len(kept)}": sum(by.values()) / len(by)}
        images = measure.encode_pictures(model, source.pixels, source.aspects, kept, side, **normal)
        features = measure.encode_texts(model, tokenizer, [source.texts[i][0] for i in kept])
        own = list(range(len(kept)))
        return {f"recall@{n} of {len(kept)}": measure.recall(images, features, own, n) for n in (1, 5)}

    run.measure = measured
    return run
