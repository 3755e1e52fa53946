#!/usr/bin/env python3
"""Writes a checkpoint with random weights of a known architecture: for loads and
comparisons that need a real file, without a download.

    tools/make_random_model.py DIRECTORY [ARCHITECTURE]

Hugging Face's layout, fp16, with the starter model's vocabulary (its 4096 tokens are the
first of 49408). The weights are the same each time. The embeddings mean nothing."""

import json
import math
import os
import random
import shutil
import struct
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STARTER = os.path.join(ROOT, "models/starter")
VOCAB, CONTEXT = 49408, 77
START, END = 4094, 4095  # of the starter's vocabulary

# embed_dim, image_size, patch_size, then width, layers and heads of both towers, as in
# core/checkpoint/architectures.c; MLPs are four times as wide.
ARCHITECTURES = {
    "ViT-S-32-alt": (256, 224, 32, (384, 12, 6), (256, 10, 4)),
    "ViT-B-32": (512, 224, 32, (768, 12, 12), (512, 12, 8)),
    "ViT-B-16": (512, 224, 16, (768, 12, 12), (512, 12, 8)),
    "ViT-L-14": (768, 224, 14, (1024, 24, 16), (768, 12, 12)),
}


def tower_tensors(prefix, width, layers):
    """(name, shape, standard deviation, or None for ones) of one tower's layers."""
    narrow = 1 / math.sqrt(width)
    deep = narrow / math.sqrt(2 * layers)
    for i in range(layers):
        layer = f"{prefix}.encoder.layers.{i}"
        for name, rows, columns, scale in (
                ("self_attn.q_proj", width, width, narrow), ("self_attn.k_proj", width, width, narrow),
                ("self_attn.v_proj", width, width, narrow), ("self_attn.out_proj", width, width, deep),
                ("mlp.fc1", 4 * width, width, narrow / math.sqrt(2)),
                ("mlp.fc2", width, 4 * width, deep)):
            yield f"{layer}.{name}.weight", (rows, columns), scale
            yield f"{layer}.{name}.bias", (rows,), 0.01
        for name in ("layer_norm1", "layer_norm2"):
            yield f"{layer}.{name}.weight", (width,), None
            yield f"{layer}.{name}.bias", (width,), 0.01


def all_tensors(embed_dim, image_size, patch, vision, text):
    width = vision[0]
    yield "vision_model.embeddings.class_embedding", (width,), 1 / math.sqrt(width)
    yield ("vision_model.embeddings.patch_embedding.weight", (width, 3, patch, patch),
           1 / math.sqrt(3 * patch * patch))
    yield ("vision_model.embeddings.position_embedding.weight",
           (1 + (image_size // patch) ** 2, width), 1 / math.sqrt(width))
    # "pre_layrnorm" is how the checkpoints spell it.
    for name in ("vision_model.pre_layrnorm", "vision_model.post_layernorm"):
        yield f"{name}.weight", (width,), None
        yield f"{name}.bias", (width,), 0.01
    yield from tower_tensors("vision_model", width, vision[1])
    yield "visual_projection.weight", (embed_dim, width), 1 / math.sqrt(width)
    width = text[0]
    yield "text_model.embeddings.token_embedding.weight", (VOCAB, width), 0.02
    yield "text_model.embeddings.position_embedding.weight", (CONTEXT, width), 0.01
    yield from tower_tensors("text_model", width, text[1])
    yield "text_model.final_layer_norm.weight", (width,), None
    yield "text_model.final_layer_norm.bias", (width,), 0.01
    yield "text_projection.weight", (embed_dim, width), 1 / math.sqrt(width)
    yield "logit_scale", (), None


def halves(rng, count, scale):
    """`count` numbers as little-endian fp16, of about that standard deviation.

    Sign and fraction of each are random, the exponent is the same, so that one big number
    does it: Python makes 300 MB of them in two seconds. Their magnitudes lie in one octave,
    whose root mean square is 1.53 times its lower end."""
    if scale is None:
        return struct.pack("<e", 1) * count
    exponent = round(math.log2(scale / 1.53)) + 15
    keep = int.from_bytes(struct.pack("<H", 0x83FF) * count, "little")
    fixed = int.from_bytes(struct.pack("<H", exponent << 10) * count, "little")
    return (int.from_bytes(rng.randbytes(2 * count), "little") & keep | fixed).to_bytes(2 * count, "little")


def write_weights(path, tensors):
    header, at = {}, 0
    for name, shape, _ in tensors:
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = random.Random(1)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, scale in tensors:
            file.write(halves(rng, math.prod(shape), scale))
    os.replace(path + ".part", path)


def write_config(folder, embed_dim, image_size, patch, vision, text):
    def tower(width, layers, heads):
        return {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers,
                "num_attention_heads": heads, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-05,
                "projection_dim": embed_dim}

    config = {
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": embed_dim,
        "torch_dtype": "float16",
        "text_config": dict(tower(*text), vocab_size=VOCAB, max_position_embeddings=CONTEXT,
                            bos_token_id=START, eos_token_id=END, pad_token_id=END),
        "vision_config": dict(tower(*vision), image_size=image_size, patch_size=patch, num_channels=3),
    }
    with open(f"{STARTER}/preprocessor_config.json", encoding="utf-8") as file:
        preprocess = json.load(file)
    preprocess["size"] = {"shortest_edge": image_size}
    preprocess["crop_size"] = {"height": image_size, "width": image_size}
    with open(f"{STARTER}/tokenizer_config.json", encoding="utf-8") as file:
        tokenizer = dict(json.load(file), model_max_length=CONTEXT)
    for name, value in (("config.json", config), ("preprocessor_config.json", preprocess),
                        ("tokenizer_config.json", tokenizer)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(os.path.join(STARTER, name), folder)


def main(arguments):
    if len(arguments) not in (1, 2) or arguments[-1] not in ARCHITECTURES and len(arguments) == 2:
        sys.exit(f"usage: make_random_model.py DIRECTORY [{' | '.join(ARCHITECTURES)}]")
    shape = ARCHITECTURES[arguments[1] if len(arguments) == 2 else "ViT-B-32"]
    os.makedirs(arguments[0], exist_ok=True)
    write_config(arguments[0], *shape)
    write_weights(os.path.join(arguments[0], "model.safetensors"), list(all_tensors(*shape)))


if __name__ == "__main__":
    main(sys.argv[1:])
