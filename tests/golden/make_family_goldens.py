#!/usr/bin/env python3
"""Makes tests/golden/families/: tiny models of random weights in the names of families that are
not plain CLIP, and what they answer, computed here in float64 from the families' descriptions.
Needs NumPy only.

    python3 tests/golden/make_family_goldens.py
"""
import json
import math
import os

import numpy as np

import make_model_goldens as base

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "families")
IMAGE, PATCH, EMBED = base.IMAGE, base.PATCH, base.EMBED
CONTEXT, VOCAB = base.TEXT["context"], base.TEXT["vocab"]
GELU = base.ACTIVATIONS["gelu"]


class Maker:
    """Random weights under their names, which become those of the file."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.tensors = {}

    def add(self, name, *shape, scale=0.3, around=0.0):
        value = around + self.rng.standard_normal(shape) * scale
        self.tensors[name] = value.astype(np.float16).astype(np.float32)

    def linear(self, name, n, k, bias=True):
        self.add(name + ".weight", n, k, scale=0.9 / math.sqrt(k))
        if bias:
            self.add(name + ".bias", n, scale=0.2)

    def norm(self, name, width):
        self.add(name + ".weight", width, scale=0.2, around=1.0)
        self.add(name + ".bias", width, scale=0.2)

    def save(self, folder, name="open_clip_model.safetensors"):
        base.save(f"{OUT}/{folder}/{name}", self.tensors, "F16")
        return {n: v.astype(np.float64) for n, v in self.tensors.items()}


def write_json(path, value):
    with open(os.path.join(OUT, path), "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


# ---- arithmetic ----

def norm(x, w, name, eps=1e-5):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w.get(name + ".bias", 0)


def attend(q, k, v, head_width, causal=False):
    """q, k and v are [tokens, heads * head_width]."""
    out = []
    for h in range(0, q.shape[1], head_width):
        c = slice(h, h + head_width)
        scores = q[:, c] @ k[:, c].T / math.sqrt(head_width)
        if causal:
            scores = np.where(np.tril(np.ones(scores.shape)) > 0, scores, -np.inf)
        scores = np.exp(scores - scores.max(1, keepdims=True))
        out.append(scores / scores.sum(1, keepdims=True) @ v[:, c])
    return np.concatenate(out, 1)


def patches(pixels):
    """[patches, 3 * PATCH^2], normalised, in the order channel, y, x."""
    g = IMAGE // PATCH
    x = (pixels.astype(np.float64) / 255 - base.MEAN.astype(np.float64)) / base.STD.astype(np.float64)
    return x.reshape(g, PATCH, g, PATCH, 3).transpose(0, 2, 4, 1, 3).reshape(g * g, -1)


def vision_config(**more):
    return dict(image_size=IMAGE, patch_size=PATCH, **more)


def text_config(**more):
    return dict(context_length=CONTEXT, vocab_size=VOCAB, **more)


# ---- a plain text tower, for what differs in its image tower only ----

def make_text(maker, prefix, width, heads, embed):
    maker.add(prefix + "token_embedding.weight", VOCAB, width, scale=1)
    maker.add(prefix + "positional_embedding", CONTEXT, width, scale=0.5)
    maker.norm(prefix + "ln_final", width)
    maker.add(prefix + "text_projection", width, embed)
    p = prefix + "transformer.resblocks.0."
    for name in ("ln_1", "ln_2"):
        maker.norm(p + name, width)
    maker.add(p + "attn.in_proj_weight", 3 * width, width)
    maker.add(p + "attn.in_proj_bias", 3 * width)
    maker.linear(p + "attn.out_proj", width, width)
    maker.linear(p + "mlp.c_fc", 4 * width, width)
    maker.linear(p + "mlp.c_proj", width, 4 * width)
    return dict(width=width, heads=heads, layers=1)


# ---- TinyCLIP's automatic models: heads, MLPs and whole halves are gone ----

PRUNED = {  # width, and per layer: heads, width of the MLP; before: 16 and 24 wide, heads 8 wide
    "visual.": (12, ((1, 24), (0, 30), (2, 0))),
    "": (20, ((3, 56), (0, 0), (2, 17))),
}


def make_pruned():
    maker, training = Maker(31), Maker(0)
    for half, (width, layers) in PRUNED.items():
        for i, (heads, mlp) in enumerate(layers):
            p = f"{half}transformer.resblocks.{i}."
            if heads:
                maker.norm(p + "ln_1", width)
                maker.add(p + "attn.in_proj_weight", 24 * heads, width)
                maker.add(p + "attn.in_proj_bias", 24 * heads)
                maker.linear(p + "attn.out_proj", width, 8 * heads)
            if mlp or half:  # a LayerNorm that was left without its MLP
                maker.norm(p + "ln_2", width)
            if mlp:
                maker.linear(p + "mlp.c_fc", mlp, width)
                maker.linear(p + "mlp.c_proj", width, mlp)
        maker.add(half + "positional_embedding", 1 + (IMAGE // PATCH) ** 2 if half else CONTEXT, width, scale=0.5)
    vision, text = PRUNED["visual."][0], PRUNED[""][0]
    maker.add("visual.class_embedding", vision, scale=1)
    maker.add("visual.conv1.weight", vision, 3, PATCH, PATCH)
    maker.norm("visual.ln_pre", vision)
    maker.norm("visual.ln_post", vision)
    maker.add("visual.proj", vision, EMBED)
    maker.add("token_embedding.weight", VOCAB, text, scale=1)
    maker.norm("ln_final", text)
    maker.add("text_projection", text, EMBED)
    maker.add("logit_scale", scale=0, around=2.5)
    for name, value in maker.tensors.items():
        half = "image_encoder" if name.startswith("visual.") else "text_encoder"
        if name == "logit_scale":
            half = "logit_scale.module"
        training.tensors[f"_{half}.module.{name}"] = value
    training.tensors["_image_encoder.module.l0_module.hidden_loga"] = np.float32([3.0] * 16)
    training.tensors["_text_encoder.module.l0_module.hidden_loga"] = np.float32([3.0] * 24)
    training.save("pruned")
    write_json("pruned/open_clip_config.json", dict(model_cfg=dict(
        mask_image=True, mask_text=True, embed_dim=EMBED,
        vision_cfg=vision_config(layers=3, width=16, head_width=8), text_cfg=text_config(width=24, heads=3, layers=3))))
    return {n: v.astype(np.float64) for n, v in maker.tensors.items()}


def pruned_blocks(x, w, half, causal):
    for i, (heads, mlp) in enumerate(PRUNED[half][1]):
        p = f"{half}transformer.resblocks.{i}."
        if heads:
            qkv = norm(x, w, p + "ln_1") @ w[p + "attn.in_proj_weight"].T + w[p + "attn.in_proj_bias"]
            x = x + linear(attend(*np.split(qkv, 3, 1), 8, causal), w, p + "attn.out_proj")
        if mlp:
            x = x + linear(GELU(linear(norm(x, w, p + "ln_2"), w, p + "mlp.c_fc")), w, p + "mlp.c_proj")
    return x


def pruned_image(w, pixels):
    x = patches(pixels) @ w["visual.conv1.weight"].reshape(len(w["visual.class_embedding"]), -1).T
    x = np.concatenate([w["visual.class_embedding"][None], x]) + w["visual.positional_embedding"]
    x = pruned_blocks(norm(x, w, "visual.ln_pre"), w, "visual.", False)
    return norm(x[0], w, "visual.ln_post") @ w["visual.proj"]


def pruned_text(w, ids):
    x = pruned_blocks(w["token_embedding.weight"][ids] + w["positional_embedding"], w, "", True)
    return norm(x[ids.argmax()], w, "ln_final") @ w["text_projection"]


def main():
    os.makedirs(OUT, exist_ok=True)
    pixels, ids = (np.load(f"{base.OUT}/{name}.npy") for name in ("pixels", "ids"))
    out = {}
    w = make_pruned()
    out["pruned_images"] = [pruned_image(w, p) for p in pixels]
    out["pruned_texts"] = [pruned_text(w, i) for i in ids]
    for name, value in out.items():
        np.save(f"{OUT}/{name}.npy", np.stack(value).astype(np.float32))


if __name__ == "__main__":
    main()
