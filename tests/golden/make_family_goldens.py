#!/usr/bin/env python3
"""Makes tests/golden/families/: tiny models of random weights in the names of families that are
not plain CLIP, and what they answer, computed here in float64 from the families' descriptions.
Needs NumPy only.

    python3 tests/golden/make_family_goldens.py
"""
import json
import math
import os
import shutil
import tempfile

import numpy as np

import make_model_goldens as base

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "families")
IMAGE, PATCH, EMBED = base.IMAGE, base.PATCH, base.EMBED
CONTEXT, VOCAB = base.TEXT["context"], base.TEXT["vocab"]
GELU = base.ACTIVATIONS["gelu"]
TEXT_WIDTH = 32


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


# ---- EVA02 and EVA-CLIP's larger towers, as timm names them ----

def make_timm(maker, width, embed, bias=True):
    maker.add("visual.trunk.cls_token", 1, 1, width, scale=1)
    maker.add("visual.trunk.pos_embed", 1, 1 + (IMAGE // PATCH) ** 2, width, scale=0.5)
    maker.add("visual.trunk.patch_embed.proj.weight", width, 3, PATCH, PATCH)
    if bias:
        maker.add("visual.trunk.patch_embed.proj.bias", width)
    maker.norm("visual.trunk.norm", width)
    maker.linear("visual.trunk.head", embed, width)
    maker.add("logit_scale", scale=0, around=2.5)


def timm_enter(w, pixels):
    width = w["visual.trunk.cls_token"].size
    x = patches(pixels) @ w["visual.trunk.patch_embed.proj.weight"].reshape(width, -1).T
    x = np.concatenate([w["visual.trunk.cls_token"][0], x + w.get("visual.trunk.patch_embed.proj.bias", 0)])
    return x + w["visual.trunk.pos_embed"][0]


def timm_leave(x, w, eps=1e-6):
    return linear(norm(x[0], w, "visual.trunk.norm", eps), w, "visual.trunk.head")


def encode_text(w, ids, t, prefix="text."):
    x = w[prefix + "token_embedding.weight"][ids] + w[prefix + "positional_embedding"]
    p = prefix + "transformer.resblocks.0."
    qkv = norm(x, w, p + "ln_1") @ w[p + "attn.in_proj_weight"].T + w[p + "attn.in_proj_bias"]
    x = x + linear(attend(*np.split(qkv, 3, 1), t["width"] // t["heads"], True), w, p + "attn.out_proj")
    x = x + linear(GELU(linear(norm(x, w, p + "ln_2"), w, p + "mlp.c_fc")), w, p + "mlp.c_proj")
    return norm(x[ids.argmax()], w, prefix + "ln_final") @ w[prefix + "text_projection"]


def timm_config(folder, name, text):
    vision = dict(timm_model_name=name, timm_model_pretrained=False, timm_pool="token", timm_proj=None,
                  image_size=IMAGE)
    write_json(f"{folder}/open_clip_config.json", dict(model_cfg=dict(
        embed_dim=EMBED, custom_text=True, vision_cfg=vision, text_cfg=text_config(**text))))


EVA02 = dict(width=32, layers=2, heads=2, mlp=43)


def make_eva02():
    maker, t = Maker(41), EVA02
    make_timm(maker, t["width"], EMBED)
    for i in range(t["layers"]):
        p = f"visual.trunk.blocks.{i}."
        maker.norm(p + "norm1", t["width"])
        for name in "qkv":
            maker.linear(f"{p}attn.{name}_proj", t["width"], t["width"], bias=name != "k")
        maker.norm(p + "attn.norm", t["width"])
        maker.linear(p + "attn.proj", t["width"], t["width"])
        maker.norm(p + "norm2", t["width"])
        maker.linear(p + "mlp.fc1_g", t["mlp"], t["width"])
        maker.linear(p + "mlp.fc1_x", t["mlp"], t["width"])
        maker.norm(p + "mlp.norm", t["mlp"])
        maker.linear(p + "mlp.fc2", t["width"], t["mlp"])
    text = make_text(maker, "text.", TEXT_WIDTH, 2, EMBED)
    w = maker.save("eva02")
    timm_config("eva02", "eva02_base_patch16_clip_224", text)
    return w, text


def turn(x, head_width):
    """Pairs of channels of the patches, which are all rows but the first, are complex numbers."""
    g, bands = IMAGE // PATCH, head_width // 4
    b = 10000.0 ** (-np.arange(bands) / bands)
    at = np.arange(g) / g * 16
    y, x_ = np.repeat(at, g), np.tile(at, g)
    angles = np.concatenate([np.outer(y, b), np.outer(x_, b)], 1)
    out = x.copy()
    for h in range(0, x.shape[1], head_width):
        pairs = x[1:, h:h + head_width:2] + 1j * x[1:, h + 1:h + head_width:2]
        pairs = pairs * np.exp(1j * angles)
        out[1:, h:h + head_width:2], out[1:, h + 1:h + head_width:2] = pairs.real, pairs.imag
    return out


def eva02_image(w, pixels):
    x, head_width = timm_enter(w, pixels), EVA02["width"] // EVA02["heads"]
    for i in range(EVA02["layers"]):
        p = f"visual.trunk.blocks.{i}."
        h = norm(x, w, p + "norm1", 1e-6)
        q, k, v = (linear(h, w, f"{p}attn.{name}_proj") for name in "qkv")
        h = attend(turn(q, head_width), turn(k, head_width), v, head_width)
        x = x + linear(norm(h, w, p + "attn.norm", 1e-6), w, p + "attn.proj")
        h = norm(x, w, p + "norm2", 1e-6)
        gate = linear(h, w, p + "mlp.fc1_g")
        h = gate / (1 + np.exp(-gate)) * linear(h, w, p + "mlp.fc1_x")
        x = x + linear(norm(h, w, p + "mlp.norm", 1e-6), w, p + "mlp.fc2")
    return timm_leave(x, w)


EVA = dict(width=32, layers=2, heads=2, mlp=40)


def make_eva(folder, name, seed):
    maker, t = Maker(seed), EVA
    make_timm(maker, t["width"], EMBED)
    for i in range(t["layers"]):
        p = f"visual.trunk.blocks.{i}."
        maker.norm(p + "norm1", t["width"])
        maker.linear(p + "attn.qkv", 3 * t["width"], t["width"], bias=False)
        maker.add(p + "attn.q_bias", t["width"])
        maker.add(p + "attn.v_bias", t["width"])
        maker.linear(p + "attn.proj", t["width"], t["width"])
        maker.norm(p + "norm2", t["width"])
        maker.linear(p + "mlp.fc1", t["mlp"], t["width"])
        maker.linear(p + "mlp.fc2", t["width"], t["mlp"])
    text = make_text(maker, "text.", TEXT_WIDTH, 2, EMBED)
    w = maker.save(folder)
    timm_config(folder, name, text)
    return w, text


def eva_image(w, pixels, norm_last):
    """Of E/14, `norm_last`, what joins the residual stream is normalised, not what leaves it."""
    x = timm_enter(w, pixels)
    for i in range(EVA["layers"]):
        p = f"visual.trunk.blocks.{i}."
        h = x if norm_last else norm(x, w, p + "norm1", 1e-6)
        q, k, v = np.split(h @ w[p + "attn.qkv.weight"].T, 3, 1)
        h = linear(attend(q + w[p + "attn.q_bias"], k, v + w[p + "attn.v_bias"], 16), w, p + "attn.proj")
        x = x + (norm(h, w, p + "norm1", 1e-6) if norm_last else h)
        h = x if norm_last else norm(x, w, p + "norm2", 1e-6)
        h = linear(GELU(linear(h, w, p + "mlp.fc1")), w, p + "mlp.fc2")
        x = x + (norm(h, w, p + "norm2", 1e-6) if norm_last else h)
    return timm_leave(x, w)


# ---- a plain ViT as timm names it: MobileCLIP2-L/14 ----

def make_timm_vit():
    maker, t = Maker(55), EVA
    make_timm(maker, t["width"], EMBED, bias=False)
    maker.norm("visual.trunk.norm_pre", t["width"])
    for i in range(t["layers"]):
        p = f"visual.trunk.blocks.{i}."
        maker.norm(p + "norm1", t["width"])
        maker.linear(p + "attn.qkv", 3 * t["width"], t["width"])
        maker.linear(p + "attn.proj", t["width"], t["width"])
        maker.norm(p + "norm2", t["width"])
        maker.linear(p + "mlp.fc1", t["mlp"], t["width"])
        maker.linear(p + "mlp.fc2", t["width"], t["mlp"])
    text = make_text(maker, "text.", TEXT_WIDTH, 2, EMBED)
    w = maker.save("timm_vit")
    timm_config("timm_vit", "vit_large_patch14_clip_224", text)
    return w, text


def timm_vit_image(w, pixels):
    x = norm(timm_enter(w, pixels), w, "visual.trunk.norm_pre")
    for i in range(EVA["layers"]):
        p = f"visual.trunk.blocks.{i}."
        q, k, v = np.split(linear(norm(x, w, p + "norm1"), w, p + "attn.qkv"), 3, 1)
        x = x + linear(attend(q, k, v, 16), w, p + "attn.proj")
        x = x + linear(GELU(linear(norm(x, w, p + "norm2"), w, p + "mlp.fc1")), w, p + "mlp.fc2")
    return timm_leave(x, w, 1e-5)


# ---- text towers of transformers: RoBERTa in OpenCLIP, BERT in Chinese-CLIP ----

VISUAL = dict(width=16, layers=1, heads=2, mlp=40)
BERT = dict(width=24, layers=2, heads=3, mlp=56, positions=20)


def make_visual(maker):
    w = VISUAL["width"]
    maker.add("visual.class_embedding", w, scale=1)
    maker.add("visual.positional_embedding", 1 + (IMAGE // PATCH) ** 2, w, scale=0.5)
    maker.add("visual.conv1.weight", w, 3, PATCH, PATCH)
    maker.add("visual.proj", w, EMBED)
    for name in ("ln_pre", "ln_post", "transformer.resblocks.0.ln_1", "transformer.resblocks.0.ln_2"):
        maker.norm("visual." + name, w)
    p = "visual.transformer.resblocks.0."
    maker.add(p + "attn.in_proj_weight", 3 * w, w)
    maker.add(p + "attn.in_proj_bias", 3 * w)
    maker.linear(p + "attn.out_proj", w, w)
    maker.linear(p + "mlp.c_fc", VISUAL["mlp"], w)
    maker.linear(p + "mlp.c_proj", w, VISUAL["mlp"])
    maker.add("logit_scale", scale=0, around=2.5)


def make_bert(maker, prefix, kinds):
    """`kinds` of tokens: RoBERTa has 1, BERT 2."""
    w, m = BERT["width"], BERT["mlp"]
    maker.add(prefix + "embeddings.word_embeddings.weight", VOCAB, w, scale=1)
    maker.add(prefix + "embeddings.position_embeddings.weight", BERT["positions"], w, scale=0.5)
    maker.add(prefix + "embeddings.token_type_embeddings.weight", kinds, w, scale=0.5)
    maker.norm(prefix + "embeddings.LayerNorm", w)
    for i in range(BERT["layers"]):
        p = f"{prefix}encoder.layer.{i}."
        for name in ("query", "key", "value"):
            maker.linear(f"{p}attention.self.{name}", w, w)
        maker.linear(p + "attention.output.dense", w, w)
        maker.norm(p + "attention.output.LayerNorm", w)
        maker.linear(p + "intermediate.dense", m, w)
        maker.linear(p + "output.dense", w, m)
        maker.norm(p + "output.LayerNorm", w)


def bert_rows(w, ids, prefix, pad, eps):
    """The rows of the ids that are no padding, which none of them sees."""
    e, roberta = prefix + "embeddings.", len(w[prefix + "embeddings.token_type_embeddings.weight"]) == 1
    real = np.flatnonzero(ids != pad)
    # RoBERTa counts what is no padding, from one behind the padding's own number on.
    at = pad + 1 + np.arange(len(real)) if roberta else real
    x = w[e + "word_embeddings.weight"][ids[real]] + w[e + "position_embeddings.weight"][at]
    x = norm(x + w[e + "token_type_embeddings.weight"][0], w, e + "LayerNorm", eps)
    for i in range(BERT["layers"]):
        p = f"{prefix}encoder.layer.{i}."
        q, k, v = (linear(x, w, f"{p}attention.self.{name}") for name in ("query", "key", "value"))
        h = linear(attend(q, k, v, BERT["width"] // BERT["heads"]), w, p + "attention.output.dense")
        x = norm(x + h, w, p + "attention.output.LayerNorm", eps)
        h = linear(GELU(linear(x, w, p + "intermediate.dense")), w, p + "output.dense")
        x = norm(x + h, w, p + "output.LayerNorm", eps)
    return x


def visual_image(w, pixels):
    act = base.ACTIVATIONS["quick_gelu"]
    x = patches(pixels) @ w["visual.conv1.weight"].reshape(VISUAL["width"], -1).T
    x = np.concatenate([w["visual.class_embedding"][None], x]) + w["visual.positional_embedding"]
    x, p = norm(x, w, "visual.ln_pre"), "visual.transformer.resblocks.0."
    qkv = norm(x, w, p + "ln_1") @ w[p + "attn.in_proj_weight"].T + w[p + "attn.in_proj_bias"]
    x = x + linear(attend(*np.split(qkv, 3, 1), VISUAL["width"] // VISUAL["heads"]), w, p + "attn.out_proj")
    x = x + linear(act(linear(norm(x, w, p + "ln_2"), w, p + "mlp.c_fc")), w, p + "mlp.c_proj")
    return norm(x[0], w, "visual.ln_post") @ w["visual.proj"]


def padded_ids(rng, begin, end, pad):
    ids = np.full((5, CONTEXT), pad, np.int32)
    for row, length in zip(ids, (2, 3, 6, 9, CONTEXT)):
        row[:length] = rng.integers(5, VOCAB, length)
        row[0], row[length - 1] = begin, end
    ids[3, 4] = pad  # padding in the middle of a text is padding, too
    return ids


def write_roberta(pixels, out):
    """A mean of rows, a projection of two products, quick_gelu for images only."""
    maker = Maker(61)
    make_visual(maker)
    make_bert(maker, "text.transformer.", 1)
    hidden = (BERT["width"] + EMBED) // 2
    maker.linear("text.proj.0", hidden, BERT["width"], bias=False)
    maker.linear("text.proj.2", EMBED, hidden, bias=False)
    maker.tensors["text.transformer.embeddings.position_ids"] = np.arange(BERT["positions"], dtype=np.int64)[None]
    w = maker.save("roberta")
    write_json("roberta/open_clip_config.json", dict(model_cfg=dict(
        embed_dim=EMBED, quick_gelu=True,
        vision_cfg=vision_config(layers=1, width=VISUAL["width"], head_width=8),
        text_cfg=dict(hf_model_name="xlm-roberta-base", hf_tokenizer_name="xlm-roberta-base",
                      hf_pooler_type="mean_pooler", context_length=CONTEXT))))
    out["roberta_ids"] = padded_ids(maker.rng, 0, 2, 1)
    out["roberta_images"] = [visual_image(w, p) for p in pixels]
    means = (bert_rows(w, i, "text.transformer.", 1, 1e-5).mean(0) for i in out["roberta_ids"])
    out["roberta_texts"] = [linear(GELU(linear(m, w, "text.proj.0")), w, "text.proj.2") for m in means]


def write_chinese(pixels, out):
    """The first row. In the names of transformers, and in those of the training code."""
    maker = Maker(71)
    make_visual(maker)
    make_bert(maker, "bert.", 2)
    maker.linear("bert.pooler.dense", BERT["width"], BERT["width"])  # not used
    maker.add("text_projection", BERT["width"], EMBED)
    training, hf = Maker(0), Maker(0)
    training.tensors = {"module." + n: v for n, v in maker.tensors.items()}
    training.save(".", "chinese.safetensors")
    visual = {n: v for n, v in maker.tensors.items() if n.startswith("visual.")}
    hf.tensors = {n: v for n, v in base.hf_names(visual).items() if not n.startswith("text_model")}
    hf.tensors.update({"text_model." + n[5:]: v for n, v in maker.tensors.items() if n.startswith("bert.")})
    hf.tensors["text_projection.weight"] = maker.tensors["text_projection"].T
    hf.tensors["logit_scale"] = maker.tensors["logit_scale"]
    hf.save("chinese_hf", "model.safetensors")
    tower = lambda t, act: dict(hidden_size=t["width"], intermediate_size=t["mlp"], num_hidden_layers=t["layers"],
                                num_attention_heads=t["heads"], hidden_act=act)
    write_json("chinese_hf/config.json", dict(
        model_type="chinese_clip", projection_dim=EMBED,
        text_config=dict(tower(BERT, "gelu"), model_type="chinese_clip_text_model", vocab_size=VOCAB,
                         max_position_embeddings=BERT["positions"], type_vocab_size=2, pad_token_id=0,
                         layer_norm_eps=1e-12),
        vision_config=dict(tower(VISUAL, "quick_gelu"), model_type="chinese_clip_vision_model", image_size=IMAGE,
                           patch_size=PATCH, layer_norm_eps=1e-5)))
    w = {n: v.astype(np.float64) for n, v in maker.tensors.items()}
    out["chinese_ids"] = padded_ids(maker.rng, 3, 4, 0)
    out["chinese_images"] = [visual_image(w, p) for p in pixels]
    rows = (bert_rows(w, i, "bert.", 0, 1e-12)[0] for i in out["chinese_ids"])
    out["chinese_texts"] = [r @ w["text_projection"] for r in rows]


def write_seeds():
    """Models as small as they can be, for the fuzz target of weight files."""
    corpus = os.path.join(OUT, "..", "..", "fuzz", "corpus", "safetensors")
    small = globals()
    small.update(IMAGE=4, PATCH=2, EMBED=2, VOCAB=7, TEXT_WIDTH=4, EVA=dict(width=4, layers=1, heads=2, mlp=3),
                 EVA02=dict(width=4, layers=1, heads=1, mlp=3), VISUAL=dict(width=4, layers=1, heads=2, mlp=3),
                 BERT=dict(width=4, layers=1, heads=2, mlp=3, positions=12),
                 PRUNED={"visual.": (4, ((1, 3), (0, 2), (1, 0))), "": (4, ((1, 3), (0, 0)))})
    with tempfile.TemporaryDirectory() as folder:
        small["OUT"] = folder
        make_pruned()
        make_eva02()
        make_eva("eva", "eva_giant_patch14_224", 51)
        write_roberta([], {})
        write_chinese([], {})
        for name in ("pruned", "eva02", "eva", "roberta"):
            shutil.copy(f"{folder}/{name}/open_clip_model.safetensors", f"{corpus}/{name}")
        shutil.copy(f"{folder}/chinese.safetensors", f"{corpus}/chinese")


def main():
    os.makedirs(OUT, exist_ok=True)
    pixels, ids = (np.load(f"{base.OUT}/{name}.npy") for name in ("pixels", "ids"))
    out = {}
    w = make_pruned()
    out["pruned_images"] = [pruned_image(w, p) for p in pixels]
    out["pruned_texts"] = [pruned_text(w, i) for i in ids]
    w, text = make_eva02()
    out["eva02_images"] = [eva02_image(w, p) for p in pixels]
    out["eva02_texts"] = [encode_text(w, i, text) for i in ids]
    for folder, name, seed in (("eva", "eva_giant_patch14_224", 51), ("eva_e", "eva02_enormous_patch14_clip_224", 52)):
        w, text = make_eva(folder, name, seed)
        out[folder + "_images"] = [eva_image(w, p, folder == "eva_e") for p in pixels]
        out[folder + "_texts"] = [encode_text(w, i, text) for i in ids]
    w, text = make_timm_vit()
    out["timm_vit_images"] = [timm_vit_image(w, p) for p in pixels]
    out["timm_vit_texts"] = [encode_text(w, i, text) for i in ids]
    write_roberta(pixels, out)
    write_chinese(pixels, out)
    for name, value in out.items():
        value = np.stack(value)
        np.save(f"{OUT}/{name}.npy", value.astype(np.float32) if value.dtype == np.float64 else value)
    write_seeds()


if __name__ == "__main__":
    main()
