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
    """Names and bytes in order, and texts: a list for each (file, name, or stem of the name); none
    where only the label is known."""

    def __init__(self, path):
        self.path, self.tars, self.table, self.texts = path, [], None, {}
        self.folder = path if os.path.isdir(path) else os.path.dirname(path)
        if os.path.isdir(path):
            names = sorted(os.listdir(path))
            self.tars = [os.path.join(path, n) for n in names if n.endswith(".tar")]
            tables = [n for n in ("metadata.jsonl", "metadata.csv") if n in names]
            self.table = os.path.join(path, tables[0]) if tables else None
        elif path.endswith(".tar"):
            self.tars = [path]
        elif path.endswith((".csv", ".tsv")):
            self.table = path
        else:
            raise SystemExit(f"{path}: expected a .tar, a .csv, a .tsv or a directory")

    def leave_out(self, name, error):
        print(f"{self.path}: {name} is left out: {error}", flush=True)

    def add_texts(self, file, name, value):
        """value: a text or a list of them; what is empty is none."""
        some = value if isinstance(value, list) else [value]
        self.texts.setdefault((file, name), []).extend(
            text.strip() for text in some if isinstance(text, str) and text.strip())

    def find_texts(self, file, name):
        return self.texts.get((file, name)) or self.texts.get((file, os.path.splitext(name)[0])) or []

    def stamp(self):
        """What changes whenever a file does that pictures or texts come from."""
        names = self.names_in_table() if self.table else [] if self.tars else self.names_below()
        files = [*self.tars, *filter(None, [self.table]), *(os.path.join(self.folder, n) for n in names)]
        lines = []
        for file in files:
            there = os.stat(file) if os.path.exists(file) else None
            lines.append(f"{file} {there and (there.st_size, there.st_mtime_ns)}")
        return "\n".join(lines)

    def read(self):
        """(file, name, bytes) of each picture; its texts may follow it."""
        if self.tars:
            for path in self.tars:
                yield from self.read_tar(path)
            return
        for name in self.names_in_table() if self.table else self.names_below():
            try:
                with open(os.path.join(self.folder, name), "rb") as file:
                    data = file.read()
            except OSError as error:
                self.leave_out(name, error)
                continue
            yield self.table, name, data

    def read_tar(self, path):
        """Texts are of the pictures of their own tar: shards count from 0 each."""
        with tarfile.open(path) as tar:
            for member in tar:
                if not member.isfile():
                    continue
                stem, end = os.path.splitext(member.name)
                content = tar.extractfile(member).read()
                if os.path.basename(member.name) == "captions.json":
                    for name, value in json.loads(content).items():
                        self.add_texts(path, name, value)
                elif end.lower() in PICTURES:
                    yield path, member.name, content
                elif end == ".txt":
                    self.add_texts(path, stem, content.decode("utf-8-sig"))
                elif end == ".json":
                    value = json.loads(content)
                    self.add_texts(path, stem, value.get("caption", value.get("text")))

    def names_in_table(self):
        self.texts = {}
        for row in read_rows(self.table):
            name, text = pick(row, PATH_COLUMNS), pick(row, TEXT_COLUMNS)
            if name is None or text is None:
                raise SystemExit(f"{self.table}: a row has the columns {sorted(row)}; expected one of "
                                 f"{PATH_COLUMNS} and one of {TEXT_COLUMNS}")
            self.add_texts(self.table, row[name] or "", row[text])
        return [name for _, name in self.texts]

    def names_below(self):
        found = []
        for folder, folders, names in os.walk(self.folder):
            folders.sort()
            found += [os.path.relpath(os.path.join(folder, name), self.folder)
                      for name in sorted(names) if name.lower().endswith(PICTURES)]
        return found


def pick(row, columns):
    """The first of the columns that says something; of empty ones the first; None where none is."""
    there = [c for c in columns if c in row]
    return next((c for c in there if row[c]), there[0] if there else None)


def read_rows(path):
    """The rows of a table with its columns' names; spreadsheets put a byte order mark before them."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        if path.endswith(".jsonl"):
            yield from (json.loads(line) for line in file if line.strip())
            return
        tabs = "\t" in file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter="\t" if tabs else ",")
        for row in reader:
            if None in row:
                raise SystemExit(f"{path}: line {reader.line_num} has {len(row) - 1 + len(row[None])} fields, "
                                 f"expected {len(row) - 1}: a text with a comma stands in quotes")
            yield row


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
        source = Source(os.path.abspath(path))
        stamp = f"{source.path} {side}\n{source.stamp()}"
        base = os.path.join(cache, hashlib.sha256(stamp.encode()).hexdigest()[:16])
        if not os.path.exists(base + ".json"):
            self.decode_all(source, side, base)
        with open(base + ".json", encoding="utf-8") as file:
            self.names, self.texts, self.aspects = json.load(file)
        self.pixels = np.load(base + ".npy", mmap_mode="r")

    @staticmethod
    def decode_all(source, side, base):
        os.makedirs(os.path.dirname(base), exist_ok=True)
        names, aspects, places = [], [], []
        with open(base + ".raw", "wb") as raw:
            for file, name, data in source.read():
                try:
                    pixels, aspect = decode(data, side)
                except Exception as error:  # Pillow raises nearly any for a broken file
                    source.leave_out(name, error)
                    continue
                raw.write(pixels.tobytes())
                names.append(name)
                aspects.append(aspect)
                places.append((file, name))
        if not names:
            raise SystemExit(f"{source.path}: no pictures")
        array = np.memmap(base + ".raw", np.uint8, "r", shape=(len(names), side, side, 3))
        np.save(base + ".npy", array)
        os.remove(base + ".raw")
        texts = [source.find_texts(*place) for place in places]  # which may follow their picture
        with open(base + ".json", "w", encoding="utf-8") as file:
            json.dump([names, texts, aspects], file)
