"""Hugging Face directories of CLIP: read, and written so that clipd serves them unchanged."""

import hashlib
import json
import os
import shutil
import struct

import torch

from .clip import Clip
from .tokens import Tokenizer

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
         "I64": torch.int64, "I32": torch.int32}
SERVED = (torch.float32, torch.float16, torch.bfloat16)  # what clipd reads
PREFERRED = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors",  # by clipd
             "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth")
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def read_safetensors(path):
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        if first == last:
            tensors[name] = torch.empty(entry["shape"], dtype=TYPES[entry["dtype"]])
            continue
        flat = torch.frombuffer(data, dtype=torch.uint8, count=last - first, offset=first)
        tensors[name] = flat.clone().view(TYPES[entry["dtype"]]).view(entry["shape"])
    return tensors


def write_safetensors(path, tensors):
    names = {dtype: name for name, dtype in TYPES.items()}
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in sorted(tensors.items()):
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, tensor in sorted(tensors.items()):
            file.write(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    os.replace(path + ".part", path)


def whole_config(config):
    """Fills in what Hugging Face leaves to its defaults."""
    text = {"vocab_size": 49408, "hidden_size": 512, "intermediate_size": 2048,
            "num_hidden_layers": 12, "num_attention_heads": 8, "max_position_embeddings": 77,
            **config.get("text_config", {})}
    vision = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
              "num_attention_heads": 12, "image_size": 224, "patch_size": 32,
              **config.get("vision_config", {})}
    return {"projection_dim": 512, **config, "text_config": text, "vision_config": vision}


def read_json(directory, name):
    path = os.path.join(directory, name)
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}; expected a Hugging Face directory with "
                         "config.json, preprocessor_config.json and safetensors") from None


def weight_files(directory):
    names = ["model.safetensors"]
    if not os.path.exists(os.path.join(directory, names[0])):
        index = read_json(directory, "model.safetensors.index.json")
        names = sorted(set(index["weight_map"].values()))
    return [os.path.join(directory, name) for name in names]


def digest(directory):
    """Of a model's shape and weights."""
    total = hashlib.sha256()
    for path in (os.path.join(directory, "config.json"), *weight_files(directory)):
        with open(path, "rb") as file:
            while part := file.read(1 << 20):
                total.update(part)
    return total.hexdigest()


def read_weights(directory):
    tensors = {}
    for path in weight_files(directory):
        tensors.update(read_safetensors(path))
    return tensors


def load_model(directory):
    config = whole_config(read_json(directory, "config.json"))
    if config.get("model_type") != "clip":
        raise SystemExit(f"{directory}: model_type is {config.get('model_type')!r}, expected 'clip'")
    tensors = read_weights(directory)
    model = Clip(config)
    shapes = {n: t.shape for n, t in model.state_dict().items()}
    model.load_state_dict({n: t.float().reshape(shapes.get(n, t.shape)) for n, t in tensors.items()
                           if not n.endswith("position_ids")})
    return model


def load(directory):
    """(model, tokenizer, what preprocessor_config.json says) of a Hugging Face directory."""
    model = load_model(directory)
    context = model.config["text_config"]["max_position_embeddings"]
    return model, Tokenizer.load(directory, context), read_json(directory, "preprocessor_config.json")


def starter_preprocessor(image_size):
    return {"image_processor_type": "CLIPImageProcessor", "do_resize": True,
            "size": {"shortest_edge": image_size}, "resample": 3, "do_center_crop": True,
            "crop_size": {"height": image_size, "width": image_size}, "do_rescale": True,
            "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": list(MEAN),
            "image_std": list(STD), "do_convert_rgb": True}


def check_out(directory, source=None):
    """Before a day of training: that save() can write there, and that clipd then reads what it wrote."""
    there = source and os.path.isdir(directory) and os.path.isdir(source)
    if there and os.path.samefile(directory, source):
        raise SystemExit(f"--out {directory} is the model itself, expected another directory")
    for name in PREFERRED:
        if os.path.exists(os.path.join(directory, name)):
            raise SystemExit(f"--out {directory} holds {name}, which clipd reads rather than the "
                             "model.safetensors that is written; expected another directory")


def save(directory, model, tokenizer, preprocessor, source=None):
    """Writes what clipd serves; the other files of `source`, the model that was fine-tuned, are
    copied, so that the tokenizer stays the very same. Weights are in fp16 but for those that `source`
    has unchanged, which stay as they are: a locked tower gives the same embeddings. The scale is in fp32."""
    os.makedirs(directory, exist_ok=True)
    if source:
        for name in sorted(os.listdir(source)):
            if name.endswith((".json", ".txt")) and not name.endswith(".index.json"):
                shutil.copyfile(os.path.join(source, name), os.path.join(directory, name))
    else:
        tokenizer.save(directory)
        with open(os.path.join(directory, "tokenizer_config.json"), "w", encoding="utf-8") as file:
            json.dump({"tokenizer_class": "CLIPTokenizer", "model_max_length": tokenizer.context,
                       "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
                       "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
                       "do_lower_case": True}, file, indent=1)
    weights = {n: t.detach().cpu() for n, t in model.state_dict().items()}
    tensors = {n: t.half() for n, t in weights.items()}
    for name, old in read_weights(source).items() if source else ():
        if name in weights and old.dtype in SERVED:
            old = old.reshape(weights[name].shape)
            if torch.equal(old.float(), weights[name]):
                tensors[name] = old
    halves = all(t.dtype == torch.float16 for n, t in tensors.items() if n != "logit_scale")
    tensors["logit_scale"] = weights["logit_scale"].float()
    config = dict(model.config, torch_dtype="float16" if halves else "float32")
    for name, value in (("config.json", config), ("preprocessor_config.json", preprocessor)):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
    write_safetensors(os.path.join(directory, "model.safetensors"), tensors)
