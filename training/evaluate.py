"""Measures a model as its users meet it: original files through `clipd serve`, labels by templates.

    python3 -m training.evaluate --model models/starter --data ../shared/training --precision int8

On the held-out tenths of ../shared/training, on the style of emoji that was left out of training
(with --emoji: it needs NumPy and Pillow, and npm once), and on whole photographs. Nothing here
knows PyTorch.
"""

import argparse
import base64
import json
import operator
import os
import re
import subprocess
import tarfile
import tempfile
import time
import urllib.request

from . import words

ROWS = 50


class Service:
    """`clipd serve` on a free port of this machine."""

    def __init__(self, program, model, precision):
        self.log = tempfile.NamedTemporaryFile()
        self.process = subprocess.Popen(
            [program, "serve", "--model", model, "--precision", precision, "--listen", "127.0.0.1:0"],
            stdout=self.log, stderr=self.log)
        while True:
            with open(self.log.name, encoding="utf-8", errors="replace") as file:
                text = file.read()
            found = re.search(r"listening on (http://\S+)", text)
            if found and self.ready(found.group(1)):
                self.address = found.group(1)
                return
            if self.process.poll() is not None:
                raise SystemExit(text)
            time.sleep(0.05)

    @staticmethod
    def ready(address):
        try:
            return urllib.request.urlopen(address + "/readyz").status == 200
        except OSError:
            return False

    def post(self, path, value):
        request = urllib.request.Request(self.address + path, json.dumps(value).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as reply:
            return json.load(reply)

    def close(self):
        self.process.terminate()
        self.process.wait()


def read_held_out(path):
    """[(label, file)] of a tar with one folder for each label."""
    with tarfile.open(path) as tar:
        members = [m for m in tar if m.isfile()]  # by name each would be sought among all
        held = words.held_out([m.name for m in members])
        return [(words.label_of(m.name), tar.extractfile(m).read()) for m in members if m.name in held]


def held_out_sets(data):
    """[(name, [(label, file)], labels)] of ../shared/training."""
    names = words.tiny_names(os.path.join(data, "tiny-imagenet-names.json"))
    tiny = [(names[key][0], file)
            for key, file in read_held_out(os.path.join(data, "tiny-imagenet-250.tar"))]
    return [("CIFAR-10", read_held_out(os.path.join(data, "cifar10-2000.tar")), list(words.CIFAR)),
            ("Tiny ImageNet", tiny, [n[0] for n in names.values()])]


def sample(pairs, most):
    """At least `most` of the pairs, evenly spread, for tests that cannot wait for all."""
    return pairs[::max(1, len(pairs) // most)]


def classify(service, files, labels, templates, top):
    """The best labels of each file."""
    found = []
    for first in range(0, len(files), ROWS):
        images = [{"base64": base64.b64encode(f).decode()} for f in files[first:first + ROWS]]
        answer = service.post("/classify", {"images": images, "labels": labels,
                                            "templates": templates, "top_k": top})
        found += [[s["label"] for s in result["labels"]] for result in answer["results"]]
    return found


def accuracy(service, pairs, labels):
    """(top-1, top-5, {label: top-1})."""
    found = classify(service, [data for _, data in pairs], labels, words.ENSEMBLE, 5)
    by = {}
    for (label, _), best in zip(pairs, found):
        by.setdefault(label, []).append(best[0] == label)
    first = sum(b[0] == label for (label, _), b in zip(pairs, found)) / len(pairs)
    fifth = sum(label in b for (label, _), b in zip(pairs, found)) / len(pairs)
    return first, fifth, {label: sum(hits) / len(hits) for label, hits in by.items()}


def embed(service, kind, inputs):
    """The embeddings of texts, or of images in base64."""
    parts = [service.post(f"/embed/{kind}", {f"{kind}s": inputs[i:i + ROWS]})["embeddings"]
             for i in range(0, len(inputs), ROWS)]
    return [row for part in parts for row in part]


def held_out_captions(path):
    """([file], [(caption, the place of its file)]) of a tar with captions.json: of what is held out only."""
    with tarfile.open(path) as tar:
        members = {m.name: m for m in tar if m.isfile()}
        captions = json.load(tar.extractfile(members.pop("captions.json")))
        held = sorted(words.held_out(members))
        return ([tar.extractfile(members[name]).read() for name in held],
                [(text, i) for i, name in enumerate(held) for text in captions[name]])


def caption_recall(service, files, captions, counts=(1, 5, 10)):
    """For each count the share of captions whose own file is among the first so many of all files."""
    images = embed(service, "image", [base64.b64encode(f).decode() for f in files])
    better = []
    for row, (_, own) in zip(embed(service, "text", [text for text, _ in captions]), captions):
        scores = [sum(map(operator.mul, row, image)) for image in images]
        better.append(sum(score > scores[own] for score in scores))
    return [sum(n < count for n in better) / len(better) for count in counts]


def emoji_recall(service, cache, count=10):
    """The share of names that find their own drawing among all of the style."""
    import io

    import numpy as np
    from PIL import Image

    from .emoji import Emoji

    emoji = Emoji(cache)
    chosen = [i for i, s in enumerate(emoji.styles) if s == words.LEFT_OUT]
    files = []
    for i in chosen:
        drawing = Image.fromarray(emoji.pixels[i])
        image = Image.new("RGBA", drawing.size, "white")
        image.alpha_composite(drawing)
        file = io.BytesIO()
        image.convert("RGB").save(file, "PNG")
        files.append(base64.b64encode(file.getvalue()).decode())
    images = np.array(embed(service, "image", files))
    names = [emoji.items[emoji.own[i]]["name"] for i in chosen]
    texts = sum(np.array(embed(service, "text", [t.format(n) for n in names]))
                for t in words.DRAWING_ENSEMBLE)
    scores = texts @ images.T
    own = scores[np.arange(len(chosen)), np.arange(len(chosen))]
    return float(((scores > own[:, None]).sum(1) < count).mean())


def main():
    parser = argparse.ArgumentParser(prog="training.evaluate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/clipd", help="(%(default)s)")
    parser.add_argument("--model", default="models/starter", help="(%(default)s)")
    parser.add_argument("--precision", default="fp32", help="(%(default)s)")
    parser.add_argument("--data", help="../shared/training")
    parser.add_argument("--emoji", help="a folder to keep drawn emoji in: measures recall by name")
    parser.add_argument("--photographs", nargs="*", default=[], help="to classify by CIFAR-10's names")
    args = parser.parse_args()
    service = Service(args.program, args.model, args.precision)
    try:
        if args.data:
            report(service, args.data)
        if args.emoji:
            print(f"emoji of a style left out, by name: recall@10 {emoji_recall(service, args.emoji):.1%}")
        for path in args.photographs:
            with open(path, "rb") as file:
                best = classify(service, [file.read()], words.CIFAR, words.ENSEMBLE, 3)[0]
            print(f"{os.path.basename(path)}: {', '.join(best)}")
    finally:
        service.close()


def report(service, data):
    for name, pairs, labels in held_out_sets(data):
        first, fifth, by = accuracy(service, pairs, labels)
        print(f"{name}, {len(pairs)} held-out pictures: top-1 {first:.1%}, top-5 {fifth:.1%}")
        order = sorted(by, key=by.get, reverse=True)
        if len(order) <= 16:
            print("  " + ", ".join(f"{n} {by[n]:.2f}" for n in sorted(by)))
        else:
            print("  best: " + ", ".join(f"{n} {by[n]:.2f}" for n in order[:8]))
            print("  worst: " + ", ".join(f"{n} {by[n]:.2f}" for n in order[:-9:-1]))
    files, captions = held_out_captions(os.path.join(data, "flickr8k-1000.tar"))
    first, fifth, tenth = caption_recall(service, files, captions)
    print(f"Flickr8k, {len(captions)} captions among {len(files)} held-out pictures: "
          f"recall@1 {first:.1%}, @5 {fifth:.1%}, @10 {tenth:.1%}")


if __name__ == "__main__":
    main()
