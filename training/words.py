"""Names and templates, and which pictures are held out: for training, measuring and the tests.

It needs nothing but Python, so that what has no PyTorch can measure, too."""

import hashlib
import json

PHOTO_TEMPLATES = (
    "a photo of a {}.", "a photo of a {}.", "a blurry photo of a {}.", "a photo of the {}.",
    "a low resolution photo of a {}.", "a bright photo of a {}.", "a close-up photo of a {}.",
    "a good photo of a {}.", "a photo of one {}.", "a cropped photo of a {}.", "{}", "a {}",
    "an image of a {}.", "a picture of a {}.", "a photo of a small {}.", "a photo of a large {}.",
    "there is a {} in the picture.", "this is a {}.")
DRAWING_TEMPLATES = ("{}", "{}", "{} emoji", "an emoji of {}", "a drawing of {}", "an icon of {}",
                     "a picture of {}", "a cartoon {}")
# The ensembles that accuracies are stated with.
ENSEMBLE = ("a photo of a {}.", "a blurry photo of a {}.", "a photo of the {}.",
            "a close-up photo of a {}.", "a good photo of a {}.", "a picture of a {}.",
            "a cropped photo of a {}.")
DRAWING_ENSEMBLE = ("{}", "{} emoji", "an emoji of {}", "a drawing of {}")

CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ALSO = {"airplane": ["aeroplane", "plane", "jet"], "automobile": ["car"], "ship": ["boat"],
        "truck": ["lorry"]}
# The classes of Tiny ImageNet that are of a kind that CIFAR-10 names.
BROADER = {
    "cat": ["tabby", "Persian cat", "Egyptian cat"],
    "dog": ["Chihuahua", "Yorkshire terrier", "golden retriever", "Labrador retriever",
            "German shepherd", "standard poodle"],
    "bird": ["goose", "black stork", "king penguin", "albatross"],
    "frog": ["bullfrog", "tailed frog"],
    "automobile": ["beach wagon", "convertible", "limousine", "sports car"],
    "truck": ["moving van"], "ship": ["lifeboat"]}
# Domestic animals: their coats come in every pattern, those of the rest do not.
COATED = ("cat", "tabby", "Persian cat", "Egyptian cat", "dog", "Chihuahua", "Yorkshire terrier",
          "golden retriever", "Labrador retriever", "German shepherd", "standard poodle", "horse",
          "guinea pig", "hog", "ox")
OFTEN = ("cat", "tabby", "Persian cat", "Egyptian cat")  # fewest of which come out right
UNCLEAR = (("ship", "gondola"), ("truck", "police van"), ("automobile", "police van"))

TESTED = {"CIFAR-10": 2000, "Tiny ImageNet": 1000}  # held-out pictures that a test looks at

LEFT_OUT = "twemoji"  # the style of emoji that no training sees
SEED = "clipd"


def label_of(name):
    return name.split("/")[-2] if "/" in name else ""


def held_out(names, group=label_of):
    """A tenth of each group, always the same: the lowest by a hash of their names."""
    groups = {}
    for name in names:
        groups.setdefault(group(name), []).append(name)
    held = set()
    for members in groups.values():
        members.sort(key=lambda n: hashlib.sha256(f"{SEED}/{n}".encode()).hexdigest())
        held.update(members[:len(members) // 10])
    return held


def tiny_names(path):
    """{folder: its names, the first is its own} of tiny-imagenet-names.json."""
    with open(path, encoding="utf-8") as file:
        return {key: [w.strip() for w in words.split(",")] for key, words in json.load(file).items()}
