"""Readers of pictures with texts or labels, and the arrays that they are decoded into once.

What loads, by what the path is:
  * FILE.tar, or a directory of them: WebDataset's pairs (`key.jpg` with `key.txt`, or `key.json` with
    "caption"), pictures in one folder a label, or pictures with one `captions.json`;
  * FILE.csv or .tsv: a column of paths (filepath, file_name, image) and one of texts (title, caption, text);
  * a directory as Hugging Face's imagefolder has it: `metadata.csv` or `metadata.jsonl` with
    `file_name`, or one folder a label.
"""

import csv
import hashlib
import io
import json
import os
import tarfile

import numpy as np
from PIL import Image

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
PATH_COLUMNS = ("filepath", "file_name", "image", "path")
TEXT_COLUMNS = ("title", "caption", "text")
PIXELS_MAX = 1 << 28


class Source:
    """Names, texts (a list for each name; none where only the label is known) and bytes in order."""

    def __init__(self, path):
        self.path, self.texts = path, {}
        if os.path.isdir(path):
            tars = sorted(n for n in os.listdir(path) if n.endswith(".tar"))
            self.files = [os.path.join(path, n) for n in tars]
            self.read = self.read_tars if tars else self.read_directory
        elif path.endswith(".tar"):
            self.files, self.read = [path], self.read_tars
        elif path.endswith((".csv", ".tsv")):
            self.files, self.read = [path], self.read_table
        else:
            raise SystemExit(f"{path}: expected a .tar, a .csv, a .tsv or a directory")

    def read_tars(self):
        for path in self.files:
            key = name = data = None
            with tarfile.open(path) as tar:
                for member in tar:
                    if not member.isfile():
                        continue
                    stem, end = os.path.splitext(member.name)
                    content = tar.extractfile(member).read()
                    if os.path.basename(member.name) == "captions.json":
                        self.texts.update(json.loads(content))
                    elif end.lower() in PICTURES:
                        key, name, data = stem, member.name, content
                        yield name, data
                    elif end == ".txt":
                        self.texts.setdefault(stem, []).append(content.decode().strip())
                    elif end == ".json":
                        value = json.loads(content)
                        text = value.get("caption", value.get("text"))
                        if text:
                            self.texts.setdefault(stem, []).append(text)

    def read_rows(self, rows, folder):
        texts = {}
        for row in rows:
            name = next((row[c] for c in PATH_COLUMNS if row.get(c)), None)
            text = next((row[c] for c in TEXT_COLUMNS if row.get(c)), None)
            if name is None or text is None:
                raise SystemExit(f"{self.path}: a row has the columns {sorted(row)}; expected one of "
                                 f"{PATH_COLUMNS} and one of {TEXT_COLUMNS}")
            texts.setdefault(name, []).extend(text if isinstance(text, list) else [text])
        self.texts = texts
        for name in texts:
            with open(os.path.join(folder, name), "rb") as file:
                yield name, file.read()

    def read_table(self):
        with open(self.path, encoding="utf-8", newline="") as file:
            first = file.readline()
            file.seek(0)
            rows = list(csv.DictReader(file, delimiter="\t" if "\t" in first else ","))
        yield from self.read_rows(rows, os.path.dirname(self.path))

    def read_directory(self):
        for name in ("metadata.jsonl", "metadata.csv"):
            path = os.path.join(self.path, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", newline="") as file:
                    rows = ([json.loads(line) for line in file if line.strip()]
                            if name.endswith("l") else list(csv.DictReader(file)))
                yield from self.read_rows(rows, self.path)
                return
        for folder, folders, names in os.walk(self.path):
            folders.sort()
            for name in sorted(names):
                if name.lower().endswith(PICTURES):
                    path = os.path.join(folder, name)
                    with open(path, "rb") as file:
                        yield os.path.relpath(path, self.path), file.read()


def decode(data, side):
    """(uint8 [side, side, 3], aspect): squeezed to a square, as pictures.py wants it."""
    image = Image.open(io.BytesIO(data))
    if image.width * image.height > PIXELS_MAX:
        raise ValueError(f"{image.width} x {image.height} pixels are more than {PIXELS_MAX}")
    aspect = image.width / image.height
    image = image.convert("RGB")
    if image.size != (side, side):
        image = image.resize((side, side), Image.BICUBIC)
    return np.asarray(image), aspect


class Pictures:
    """A source's pictures as one array on disk, decoded when first asked for.

    names, texts (a list for each), aspects and pixels are in the same order; `pixels` is mapped, so
    that several processes share it."""

    def __init__(self, path, side, cache):
        stamp = f"{os.path.abspath(path)} {os.stat(path).st_mtime_ns} {side}"
        base = os.path.join(cache, hashlib.sha256(stamp.encode()).hexdigest()[:16])
        if not os.path.exists(base + ".json"):
            self.decode_all(path, side, base)
        with open(base + ".json", encoding="utf-8") as file:
            self.names, self.texts, self.aspects = json.load(file)
        self.pixels = np.load(base + ".npy", mmap_mode="r")

    @staticmethod
    def decode_all(path, side, base):
        os.makedirs(os.path.dirname(base), exist_ok=True)
        source, names, aspects = Source(path), [], []
        with open(base + ".raw", "wb") as raw:
            for name, data in source.read():
                try:
                    pixels, aspect = decode(data, side)
                except (OSError, ValueError, Image.DecompressionBombError) as error:
                    print(f"{path}: {name} is left out: {error}", flush=True)
                    continue
                raw.write(pixels.tobytes())
                names.append(name)
                aspects.append(aspect)
        if not names:
            raise SystemExit(f"{path}: no pictures")
        array = np.memmap(base + ".raw", np.uint8, "r", shape=(len(names), side, side, 3))
        np.save(base + ".npy", array)
        os.remove(base + ".raw")
        texts = [source.texts.get(n) or source.texts.get(os.path.splitext(n)[0]) or [] for n in names]
        with open(base + ".json", "w", encoding="utf-8") as file:
            json.dump([names, texts, aspects], file)
