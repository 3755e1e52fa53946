"""A server with a store of its own, and short ways to talk to it, for the tests of
collections."""

import base64
import json
import math
import os
import shutil
import struct
import tempfile
from urllib.parse import quote

import contract
from contract import Contract, ready, setting
from harness import Server
from images import png

MODEL = "models/starter"
DIM = 8
DIGEST = "ab" * 32  # of a model that is nobody's
RED, BLUE = png(40, 30), png(40, 30, (10, 20, 220))

operations = {name: row for name, row in contract.operations.items()
              if "collections" in row[2]["tags"]}
TAKES_BODY = [name for name, row in operations.items() if "requestBody" in row[2]]
# A body that each of them takes.
BODIES = {"putCollection": {}, "restoreCollection": {"snapshot": "none"}, "search": {"text": "a dog"}, "findDuplicates": {},
          "upsertItems": {"items": [{"id": "x", "text": "a dog"}]}}
# What test_search.py provokes, and test_collections.py need not.
SEARCH_STATUSES = {("findDuplicates", "200"), ("findDuplicates", "400"), ("search", "400"),
                   ("search", "422")}
# The same of test_models.py.
MODEL_STATUSES = {("putCollection", "422"), ("putCollection", "504")}

# What waits for the database in vain when its table of collections is locked; SQLite's is read in
# no time.
LOCKED = ("listCollections", "getCollection", "deleteCollection", "getStats", "reindex", "exportItems",
          "findDuplicates", "getItem", "deleteItem", "getThumbnail")
POSTGRES_STATUSES = {(name, "504") for name in LOCKED}
# A collection that is made anew within a request: nobody can time that.
ANEW_STATUSES = {(name, "409") for name in (
    "countItems", "listItems", "deleteItems", "getItem", "deleteItem", "getThumbnail", "getStats", "reindex",
    "exportItems")}


def at(angle):
    """An embedding at an angle between the first two axes."""
    return [math.cos(angle), math.sin(angle)] + [0.0] * (DIM - 2)


def pack(numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def npy(rows, dim=DIM, descr="<f4", order="False", data=None):
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({len(rows)}, {dim}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    data = b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows) if data is None else data
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


class Store(Contract):
    """A server over a store of its own, with a collection of ready embeddings, "c"."""

    settings = []
    store = "sqlite"

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.start()

    @classmethod
    def location(cls):
        return os.path.join(cls.folder, "store")

    @classmethod
    def start(cls):
        store = setting("store.location", cls.location())
        cls.server = Server(MODEL, args=store + cls.settings + ["--precision", "fp32"]).__enter__()
        ready(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        shutil.rmtree(cls.folder)

    def setUp(self):
        for name in [c["name"] for c in self.call_on("listCollections")["collections"]]:
            self.call_on("deleteCollection", name=name)
        self.json_on("putCollection", {"model": "other", "model_digest": DIGEST, "dim": DIM,
                                       "fields": [{"path": "cat", "kind": "text"}]})

    def call_on(self, operation, status=200, body=None, kind=None, query="", name="c", item="x"):
        return self.call(self.server, operation, status, body, kind, query,
                         path={"name": quote(name, safe=""), "id": quote(item, safe=""),
                               "snapshot": quote(name, safe="")})

    def json_on(self, operation, value, status=200, name="c", query=""):
        return self.json(self.server, operation, status, value, query=query, path={"name": name})

    def put(self, *items, status=200, **more):
        return self.json_on("upsertItems", {"items": list(items), **more}, status)

    def hits(self, value, **options):
        return self.json_on("search", value, **options)["results"][0]["hits"]

    def ids(self, value, **options):
        return [hit["id"] for hit in self.hits(value, **options)]

    def listed(self, query=""):
        return [item["id"] for item in self.call_on("listItems", query=query)["items"]]
