"""Emoji: nineteen hundred things with names and keywords, drawn in several styles.

npm packages ship them under open licences, as SVG; this installs the packages (their scripts do not
run), draws each picture once at 64 x 64 with its transparency, and keeps the array.
"""

import io
import json
import os
import re
import subprocess

import numpy as np
from PIL import Image

from .words import LEFT_OUT

SIDE = 64
STYLES = {  # licences as the packages state them
    "noto": "Apache-2.0", "openmoji": "CC-BY-SA-4.0", "fluent-emoji-flat": "MIT",
    "emojione": "CC-BY-4.0", "fxemoji": "Apache-2.0", "noto-v1": "Apache-2.0",
    LEFT_OUT: "CC-BY-4.0"}
NAMES, KEYWORDS = "unicode-emoji-json", "emojilib"
VERSIONS = {"noto": "1.2.9", "openmoji": "1.2.29", "fluent-emoji-flat": "1.2.6", "emojione": "1.2.3",
            "fxemoji": "1.2.2", "noto-v1": "1.2.5", "twemoji": "1.2.5", NAMES: "0.9.0",
            KEYWORDS: "4.0.3"}


def install(folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "package.json"), "w", encoding="utf-8") as file:
        json.dump({"private": True}, file)
    packages = [f"@iconify-json/{s}@{VERSIONS[s]}" for s in STYLES]
    packages += [f"{p}@{VERSIONS[p]}" for p in (NAMES, KEYWORDS)]
    subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent",
                    *packages], cwd=folder, check=True)


def code_points(emoji):
    """'263a', '1f468-200d-1f33e': without the selector that only asks for colour."""
    return "-".join(f"{ord(c):x}" for c in emoji if c != "\ufe0f")


def slug(name):
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")


class Package:
    def __init__(self, root, style):
        def read(name):
            path = os.path.join(root, "@iconify-json", style, name)
            if not os.path.exists(path):
                return {}
            with open(path, encoding="utf-8") as file:
                return json.load(file)

        self.set, self.characters = read("icons.json"), read("chars.json")

    def names(self, slugs):
        """{code points: the icon's name}; by the emoji's own name where the package has no table."""
        if self.characters:
            return {"-".join(p for p in key.lower().split("-") if p != "fe0f"): name
                    for key, name in self.characters.items()}
        return {slugs[n]: n for n in [*self.set["icons"], *self.set.get("aliases", {})] if n in slugs}

    def draw(self, name):
        """uint8 [SIDE, SIDE, 4], or None where there is nothing to see."""
        import resvg_py

        while name in self.set.get("aliases", {}):
            name = self.set["aliases"][name]["parent"]
        icon = self.set["icons"].get(name)
        if icon is None:
            return None
        left, top, wide, high = (icon.get(k, self.set.get(k, d)) for k, d in (
            ("left", 0), ("top", 0), ("width", 16), ("height", 16)))
        svg = (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
               f'viewBox="{left} {top} {wide} {high}" width="{wide}" height="{high}">'
               f'{icon["body"]}</svg>')
        data = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE))
        image = Image.open(io.BytesIO(data)).convert("RGBA").resize((SIDE, SIDE), Image.BICUBIC)
        pixels = np.asarray(image)
        return pixels if pixels[..., 3].max() >= 10 else None


class Emoji:
    """items: [{"emoji", "name", "keywords"}]; picture k, pixels[k], shows items[own[k]] in the style
    styles[k]."""

    def __init__(self, cache):
        path = os.path.join(cache, "emoji.npz")
        if not os.path.exists(path):
            self.make(os.path.join(cache, "npm"), path)
        kept = np.load(path)
        self.pixels, self.own, self.styles = kept["pixels"], kept["own"], kept["styles"].tolist()
        self.items = json.loads(str(kept["items"]))
        self.aspects = [1.0] * len(self.pixels)

    @staticmethod
    def make(folder, path):
        root = os.path.join(folder, "node_modules")
        if not os.path.isdir(os.path.join(root, "@iconify-json", LEFT_OUT)):
            install(folder)
        with open(os.path.join(root, NAMES, "data-by-emoji.json"), encoding="utf-8") as file:
            known = json.load(file)
        with open(os.path.join(root, KEYWORDS, "dist/emoji-en-US.json"), encoding="utf-8") as file:
            keywords = json.load(file)
        items = [{"emoji": e, "name": v["name"],
                  "keywords": [k.replace("_", " ") for k in keywords.get(e, [])]}
                 for e, v in known.items()]
        places = {code_points(item["emoji"]): i for i, item in enumerate(items)}
        slugs = {slug(item["name"]): code_points(item["emoji"]) for item in items}
        pixels, own, styles = [], [], []
        for style in STYLES:
            package = Package(root, style)
            for key, name in package.names(slugs).items():
                picture = package.draw(name) if key in places else None
                if picture is not None:
                    pixels.append(picture)
                    own.append(places[key])
                    styles.append(style)
        np.savez(path, pixels=np.stack(pixels), own=np.array(own), styles=np.array(styles),
                 items=np.array(json.dumps(items)))
