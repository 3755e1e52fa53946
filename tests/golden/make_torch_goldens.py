#!/usr/bin/env python3
"""Makes tests/golden/torch/ from tests/golden/model/: the same small CLIP as PyTorch writes it,
in every form, without PyTorch: Python's own pickler, with modules of PyTorch's names that
only exist here. Also seeds for the fuzz targets. Needs the standard library only.

    python3 tests/golden/make_torch_goldens.py
"""
import collections
import io
import json
import os
import pickle
import struct
import sys
import types
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "torch")
CORPUS = os.path.join(HERE, "..", "fuzz", "corpus")
TYPES = {"F16": "HalfStorage", "F32": "FloatStorage", "BF16": "BFloat16Storage", "I64": "LongStorage"}
SIZES = {"F16": 2, "F32": 4, "BF16": 2, "I64": 8}
MAGIC = 0x1950A86A20F9469CFC6C


# ---- what a pickle of PyTorch names ----

def module(name, **members):
    made = sys.modules.setdefault(name, types.ModuleType(name))
    for key, value in members.items():
        value.__module__, value.__qualname__ = name, key
        setattr(made, key, value)
    return made


def function(name):
    def called(*arguments):
        raise AssertionError(arguments)
    called.__name__ = name
    return called


module("torch", **{name: type(name, (), {}) for name in list(TYPES.values()) + ["float16"]})
module("torch.storage", UntypedStorage=type("UntypedStorage", (), {}))
module("torch._utils", **{n: function(n) for n in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3",
                                                   "_rebuild_parameter")})
module("torch._tensor", _rebuild_from_type_v2=function("_rebuild_from_type_v2"))
module("somewhere", CLIP=type("CLIP", (), {}))
torch, utils = sys.modules["torch"], sys.modules["torch._utils"]


class Storage:
    def __init__(self, key, kind, data):
        self.key, self.kind, self.data = key, kind, data


class Tensor:
    """A tensor as a call to be pickled; `how` is one of PyTorch's ways."""

    def __init__(self, storage, shape, offset=0, strides=None, how="v2"):
        if strides is None:
            strides, step = [], 1
            for size in reversed(shape):
                strides.insert(0, step)
                step *= size
        view = (storage, offset, tuple(shape), tuple(strides))
        hooks = collections.OrderedDict()
        self.call = {
            "v1": lambda: (utils._rebuild_tensor, view),
            "v2": lambda: (utils._rebuild_tensor_v2, (*view, False, hooks)),
            "v3": lambda: (utils._rebuild_tensor_v3, (*view, False, hooks, torch.float16)),
            "parameter": lambda: (utils._rebuild_parameter, (Tensor(*((storage, shape, offset, strides))), True, hooks)),
            "type": lambda: (sys.modules["torch._tensor"]._rebuild_from_type_v2,
                             (utils._rebuild_tensor_v2, torch.HalfStorage, (*view, False, hooks), {})),
        }[how]()

    def __reduce__(self):
        return self.call


class Pickler(pickle.Pickler):
    legacy = False

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        untyped = value.kind == "untyped"
        kind = sys.modules["torch.storage"].UntypedStorage if untyped else getattr(torch, TYPES[value.kind])
        count = len(value.data) if untyped else len(value.data) // SIZES[value.kind]
        return ("storage", kind, value.key, "cuda:0", count) + ((None,) if self.legacy else ())


def dump(value, protocol=2, legacy=False):
    out = io.BytesIO()
    pickler = Pickler(out, protocol)
    pickler.legacy = legacy
    pickler.dump(value)
    return out.getvalue()


# ---- the two file forms ----

def archive(value, storages, root="archive", protocol=2, extra=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as z:
        def add(name, data, method=zipfile.ZIP_STORED):
            entry = zipfile.ZipInfo(f"{root}/{name}", (1980, 1, 1, 0, 0, 0))
            z.writestr(entry, data, method)
        add("data.pkl", dump(value, protocol))
        add("byteorder", b"little")
        for storage in storages:
            add(f"data/{storage.key}", storage.data)
        add("version", b"3\n")
        for name, data in extra:
            add(name, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def legacy(value, storages):
    info = dict(protocol_version=1001, little_endian=True, type_sizes=dict(short=2, int=4, long=4))
    out = b"".join(dump(v) for v in (MAGIC, 1001, info)) + dump(value, legacy=True)
    out += dump([s.key for s in storages])
    for s in storages:
        out += struct.pack("<Q", len(s.data) // SIZES[s.kind]) + s.data
    return out


# ---- the model ----

def read_safetensors(path):
    with open(path, "rb") as f:
        blob = f.read()
    size, = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8:8 + size])
    header.pop("__metadata__", None)
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        yield name, entry["dtype"], entry["shape"], blob[8 + size + begin:8 + size + end]


def read_model(how="v2"):
    tensors, storages = collections.OrderedDict(), []
    for name, dtype, shape, data in read_safetensors(f"{HERE}/model/open_clip/open_clip_model.safetensors"):
        kind = "untyped" if how == "v3" else dtype
        storages.append(Storage(str(len(storages)), kind, data))
        # One matrix is stored as its transpose, as a view would be.
        strides = None
        if name == "visual.proj" and how == "v2":
            rows, columns = shape
            values = struct.unpack(f"<{rows * columns}H", data)
            turned = [values[r * columns + c] for c in range(columns) for r in range(rows)]
            storages[-1].data, strides = struct.pack(f"<{len(turned)}H", *turned), (1, rows)
        tensors[name] = Tensor(storages[-1], shape, strides=strides, how=how)
    return tensors, storages


def as_module(tensors):
    """The object graph of an nn.Module: the names' parts are its modules."""
    def make():
        made = sys.modules["somewhere"].CLIP()
        made.__dict__.update(training=False, _parameters=collections.OrderedDict(),
                             _buffers=collections.OrderedDict(), _modules=collections.OrderedDict())
        return made
    top = make()
    for name, tensor in tensors.items():
        at = top
        *path, last = name.split(".")
        for part in path:
            at = at._modules.setdefault(part, make())
        at._parameters[last] = tensor
    return top


def as_script(tensors):
    """The same as TorchScript has it: plain attributes."""
    def make():
        return sys.modules["somewhere"].CLIP()
    top = make()
    for name, tensor in tensors.items():
        at = top
        *path, last = name.split(".")
        for part in path:
            at = at.__dict__.setdefault(part, make())
        at.__dict__[last] = tensor
    top.training = False
    return top


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def write_safetensors(path, tensors):
    header, blob = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write(path, struct.pack("<Q", len(text)) + text + blob)


def write_towers():
    """Each tower alone: the text tower without projection, as diffusers keep it, and the image
    tower with its own."""
    with open(f"{HERE}/model/hf/config.json") as f:
        config = json.load(f)
    tensors = {n: t for n, *t in read_safetensors(f"{HERE}/model/hf/model.safetensors")}
    for path, kind, prefixes in (("diffusers/text_encoder", "text", ("text_model.",)),
                                 ("vision", "vision", ("vision_model.", "visual_projection."))):
        write_safetensors(f"{OUT}/{path}/model.safetensors",
                          {n: t for n, t in tensors.items() if n.startswith(prefixes)})
        alone = dict(config[f"{kind}_config"], model_type=f"clip_{kind}_model")
        write(f"{OUT}/{path}/config.json", json.dumps(alone, indent=1).encode() + b"\n")
    write(f"{OUT}/diffusers/model_index.json", b"{}\n")


def write_shards():
    parts, names = [{}, {}], {}
    for i, (name, dtype, shape, data) in enumerate(read_safetensors(f"{HERE}/model/hf/model.safetensors")):
        parts[i % 2][name] = (dtype, shape, data)
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05}-of-00002.safetensors"
        names.update(dict.fromkeys(part, file))
        write_safetensors(f"{OUT}/sharded/{file}", part)
    index = json.dumps({"metadata": {}, "weight_map": names}, indent=1, sort_keys=True)
    write(f"{OUT}/sharded/model.safetensors.index.json", index.encode() + b"\n")
    for name in ("config.json", "preprocessor_config.json"):
        with open(f"{HERE}/model/hf/{name}", "rb") as f:
            write(f"{OUT}/sharded/{name}", f.read())


def write_models():
    tensors, storages = read_model()
    write(f"{OUT}/archive.pt", archive(tensors, storages))
    training = {"epoch": 7, "name": "run", "optimizer": {"state": {}, "lr": 1e-3, "steps": [1, -2, 1 << 40]},
                "state_dict": collections.OrderedDict(("module." + n, t) for n, t in tensors.items())}
    write(f"{OUT}/training.pt", archive(training, storages, "run", protocol=4))
    write(f"{OUT}/script.pt", archive(as_script(tensors), storages, extra=[("code/clip.py", b"pass\n" * 99)]))
    write(f"{OUT}/legacy.pt", legacy(as_module(tensors), storages))
    tensors, storages = read_model("parameter")
    write(f"{OUT}/parameters.bin", archive(dict(tensors), storages, protocol=5))
    tensors, storages = read_model("v3")
    write(f"{OUT}/untyped.pth", archive(tensors, storages))


def write_seeds():
    half, floats = Storage("0", "F16", bytes(range(24))), Storage("1", "F32", bytes(16))
    tensors = collections.OrderedDict(
        a=Tensor(half, (3, 4)), turned=Tensor(half, (4, 3), strides=(1, 4)), row=Tensor(half, (4,), offset=4),
        scalar=Tensor(floats, (), how="v1"), empty=Tensor(floats, (0, 3)), wrapped=Tensor(floats, (2,), how="parameter"),
        typed=Tensor(half, (2, 2), how="type"))
    storages = [half, floats]
    write(f"{CORPUS}/pytorch/archive", archive(tensors, storages))
    write(f"{CORPUS}/pytorch/archive_4", archive({"state_dict": tensors, "epoch": 1.5, "x": (1, None, True, b"y")}, storages, protocol=4))
    write(f"{CORPUS}/pytorch/module", archive(as_module(tensors), storages))
    write(f"{CORPUS}/pytorch/legacy", legacy({"model": tensors}, storages))
    write(f"{CORPUS}/pytorch/untyped", archive({"a": Tensor(Storage("7", "untyped", bytes(8)), (2, 2), how="v3")},
                                       [Storage("7", "untyped", bytes(8))]))
    for protocol in (2, 5):
        write(f"{CORPUS}/pickle/tensors_{protocol}", dump({"state_dict": tensors, "epoch": 1.5}, protocol))
        write(f"{CORPUS}/pickle/module_{protocol}", dump(as_module(tensors), protocol))
    write(f"{CORPUS}/pickle/values", dump([None, True, 1, -2, 1 << 40, 1 << 99, 1.5, "a", b"b", (1,), (1, 2), (1, 2, 3),
                                           (1, 2, 3, 4), {"c": {4}}, frozenset((5,))], 4))


if __name__ == "__main__":
    write_towers()
    write_shards()
    write_models()
    write_seeds()
