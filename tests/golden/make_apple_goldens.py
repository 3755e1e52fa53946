#!/usr/bin/env python3
"""Makes tests/golden/apple/: tiny MobileCLIPs of random weights in the names and the form of file that
Apple published them in, and what they answer in float64.

`s0` has a FastViT and texts whose first and last layer are convolutions over tokens, with branches as
they were trained; `merged` is the same with its branches made one; `b` has a ViT that begins with
convolutions, and causal texts. Images are answered by timm's own FastViT, and by the ViT of
make_mobileclip_goldens.py; texts by PyTorch's convolutions and the arithmetic below, from SPEC 4.6.
That the names are Apple's is checked with what timm reads of such files. Needs NumPy, torch and timm
(1.0.31 made these).

    python3 tests/golden/make_apple_goldens.py
"""
import copy
import os
import re
from collections import OrderedDict

import numpy as np
import torch
import torch.nn.functional as F
from timm.models import fastvit, vision_transformer_hybrid
from timm.utils import reparameterize_model

import make_family_goldens as families
import make_fastvit_goldens as fastvits
import make_mobileclip_goldens as mobileclip
import make_resnet_goldens as resnet

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "apple")
EMBED, NATIVE, TRUNK = 12, 64, "visual.trunk."
TEXT = dict(width=16, heads=2, layers=2, context=24, vocab=60, window=11)
STAGES, POSITIONS = (0, 2, 4, 7), 6

VIT_NAMES = (
    (r"patch_embed\.backbone\.(\d)\.conv", r"patch_emb.\1.block.conv"),
    (r"patch_embed\.backbone\.(\d)\.bn", r"patch_emb.\1.block.norm"),
    (r"^pos_embed", "pos_embed.pos_embed.pos_embed"),
    (r"^norm\.", "post_transformer_norm."),
    (r"^blocks\.(\d+)\.", r"transformer.\1."),
    (r"\.norm1\.", ".pre_norm_mha.0."),
    (r"\.attn\.qkv\.", ".pre_norm_mha.1.qkv_proj."),
    (r"\.attn\.proj\.", ".pre_norm_mha.1.out_proj."),
    (r"\.norm2\.", ".pre_norm_ffn.0."),
    (r"\.mlp\.fc1\.", ".pre_norm_ffn.1."),
    (r"\.mlp\.fc2\.", ".pre_norm_ffn.4."),
    (r"^head\.weight", "classifier.proj"),
)
FASTVIT_NAMES = (
    (r"^stages\.(\d)\.downsample\.proj\.0\.reparam_conv", r"stages.\1.downsample.proj.0.lkb_reparam"),
    (r"^stages\.(\d)\.downsample", lambda m: f"network.{STAGES[int(m[1]) - 1] + 1}"),
    (r"^stages\.3\.pos_emb\.pos_enc", f"network.{POSITIONS}.pe"),
    (r"^stages\.3\.pos_emb", f"network.{POSITIONS}"),
    (r"^stages\.(\d)\.blocks", lambda m: f"network.{STAGES[int(m[1])]}"),
    (r"^stem\.", "patch_embed."),
    (r"^final_conv\.se\.fc1", "conv_exp.se.reduce"),
    (r"^final_conv\.se\.fc2", "conv_exp.se.expand"),
    (r"^final_conv", "conv_exp"),
    (r"large_conv", "lkb_origin"),
    (r"conv_kxk", "rbr_conv"),
    (r"conv_scale", "rbr_scale"),
    (r"\bidentity\b", "rbr_skip"),
    (r"\.gamma$", ""),
    (r"\.mlp\.", ".convffn."),
    (r"^head\.fc\.weight", "head.proj"),
)


def image_names(tensors, rules):
    """Apple's projections have no bias, and stand the other way."""
    out = {}
    for name, value in tensors.items():
        for pattern, put in rules:
            name = re.sub(pattern, put, name)
        if name.startswith("head.") and name.endswith("bias"):
            assert not np.any(value)
            continue
        out["image_encoder.model." + name] = value.T if name in ("head.proj", "classifier.proj") else value
    return out


def layer_names(maker, prefix, width):
    maker.norm(prefix + "pre_norm_mha.0", width)
    maker.linear(prefix + "pre_norm_mha.1.qkv_proj", 3 * width, width)
    maker.linear(prefix + "pre_norm_mha.1.out_proj", width, width)
    maker.norm(prefix + "pre_norm_ffn.0", width)
    maker.linear(prefix + "pre_norm_ffn.1", 4 * width, width)
    maker.linear(prefix + "pre_norm_ffn.4", width, 4 * width)


def make_batch_norm(maker, name, width):
    maker.norm(name, width)
    maker.add(name + ".running_mean", width)
    maker.add(name + ".running_var", width, scale=0.1, around=1.0)


def make_pixels(maker, name, n, k):
    maker.add(name + ".weight", n, k, 1, 1, scale=0.9 / np.sqrt(k))
    maker.add(name + ".bias", n, scale=0.2)


def make_mixer(maker, prefix, width):
    window = TEXT["window"]
    maker.add(prefix + "token_mixer.mixer.rbr_conv.0.conv.weight", width, 1, 1, window)
    make_batch_norm(maker, prefix + "token_mixer.mixer.rbr_conv.0.bn", width)
    make_batch_norm(maker, prefix + "token_mixer.mixer.rbr_skip", width)
    make_batch_norm(maker, prefix + "token_mixer.norm.rbr_skip", width)
    maker.add(prefix + "token_mixer.layer_scale", width, 1, 1, scale=0.2, around=0.5)
    maker.add(prefix + "convffn.conv.conv.weight", width, 1, 1, window)
    make_batch_norm(maker, prefix + "convffn.conv.bn", width)
    make_pixels(maker, prefix + "convffn.fc1", 4 * width, width)
    make_pixels(maker, prefix + "convffn.fc2", width, 4 * width)
    maker.add(prefix + "layer_scale", width, 1, 1, scale=0.2, around=0.5)


def make_text(maker):
    width, layers = TEXT["width"], TEXT["layers"]
    maker.add("text_encoder.embedding_layer.weight", TEXT["vocab"], width, scale=1)
    maker.add("text_encoder.positional_embedding.pos_embed.pos_embed", 1, 1, TEXT["context"], width, scale=0.5)
    for i in range(layers + 2):
        make = layer_names if 0 < i <= layers else make_mixer
        make(maker, f"text_encoder.transformer.{i}.", width)
    maker.norm("text_encoder.final_layer_norm", width)
    maker.add("text_encoder.projection_layer", width, EMBED)


# ---- texts ----

def batch_norm(x, w, name):
    """x is [tokens, channels]."""
    y = (x - w[name + ".running_mean"]) / np.sqrt(w[name + ".running_var"] + 1e-5)
    return y * w[name + ".weight"] + w[name + ".bias"]


def look(x, weight, bias=None):
    """PyTorch's convolution of every channel by itself over the tokens."""
    out = F.conv2d(torch.from_numpy(x.T.copy())[None, :, None], torch.from_numpy(weight),
                   None if bias is None else torch.from_numpy(bias), padding=(0, weight.shape[3] // 2),
                   groups=x.shape[1])
    return out[0, :, 0].numpy().T


def pixels_of(x, w, name):
    return x @ w[name + ".weight"][:, :, 0, 0].T + w[name + ".bias"]


def mix(x, w, p):
    mixer = p + "token_mixer."
    if mixer + "reparam_conv.weight" in w:
        x = look(x, w[mixer + "reparam_conv.weight"], w[mixer + "reparam_conv.bias"])
    else:
        seen = batch_norm(look(x, w[mixer + "mixer.rbr_conv.0.conv.weight"]), w, mixer + "mixer.rbr_conv.0.bn")
        both = seen + batch_norm(x, w, mixer + "mixer.rbr_skip") - batch_norm(x, w, mixer + "norm.rbr_skip")
        x = x + w[mixer + "layer_scale"][:, 0, 0] * both
    y = batch_norm(look(x, w[p + "convffn.conv.conv.weight"]), w, p + "convffn.conv.bn")
    y = pixels_of(families.GELU(pixels_of(y, w, p + "convffn.fc1")), w, p + "convffn.fc2")
    return x + w[p + "layer_scale"][:, 0, 0] * y


def layer(x, w, p):
    qkv = families.linear(families.norm(x, w, p + "pre_norm_mha.0"), w, p + "pre_norm_mha.1.qkv_proj")
    seen = families.attend(*np.split(qkv, 3, 1), TEXT["width"] // TEXT["heads"])
    x = x + families.linear(seen, w, p + "pre_norm_mha.1.out_proj")
    y = families.GELU(families.linear(families.norm(x, w, p + "pre_norm_ffn.0"), w, p + "pre_norm_ffn.1"))
    return x + families.linear(y, w, p + "pre_norm_ffn.4")


def encode_text(w, ids):
    x = w["text_encoder.embedding_layer.weight"][ids] + w["text_encoder.positional_embedding.pos_embed.pos_embed"][0, 0]
    for i in range(TEXT["layers"] + 2):
        x = (layer if 0 < i <= TEXT["layers"] else mix)(x, w, f"text_encoder.transformer.{i}.")
    return families.norm(x[ids.argmax()], w, "text_encoder.final_layer_norm") @ w["text_encoder.projection_layer"]


def merge_text(w):
    """One convolution in the place of a RepMixer, as Apple's loader makes it."""
    out, window = dict(w), TEXT["window"]
    for i in (0, TEXT["layers"] + 1):
        p = f"text_encoder.transformer.{i}.token_mixer."
        scale = lambda name: w[p + name + ".weight"] / np.sqrt(w[p + name + ".running_var"] + 1e-5)
        shift = lambda name: w[p + name + ".bias"] - w[p + name + ".running_mean"] * scale(name)
        weight = w[p + "mixer.rbr_conv.0.conv.weight"] * scale("mixer.rbr_conv.0.bn")[:, None, None, None]
        weight[:, 0, 0, window // 2] += scale("mixer.rbr_skip") - scale("norm.rbr_skip")
        bias = shift("mixer.rbr_conv.0.bn") + shift("mixer.rbr_skip") - shift("norm.rbr_skip")
        gamma = w[p + "layer_scale"]
        weight, bias = weight * gamma[..., None], bias * gamma[:, 0, 0]
        weight[:, 0, 0, window // 2] += 1
        out = {n: v for n, v in out.items() if not n.startswith(p)}
        out[p + "reparam_conv.weight"], out[p + "reparam_conv.bias"] = weight, bias
    return out


# ---- files ----

def halves(tensors):
    return {n: v.astype(np.float16).astype(np.float64) if v.dtype.kind == "f" else v for n, v in tensors.items()}


def save(folder, name, tensors):
    """As Apple's files are: a pickled OrderedDict in an archive; half as long, because these are kept."""
    os.makedirs(f"{OUT}/{folder}", exist_ok=True)
    kept = [(n, torch.from_numpy(np.ascontiguousarray(v))) for n, v in tensors.items()]
    torch.save(OrderedDict((n, v.half() if v.is_floating_point() else v) for n, v in kept), f"{OUT}/{folder}/{name}")


def write_config(folder, model, text, **more):
    families.write_json(f"{folder}/config.json", dict(
        embed_dim=EMBED, image_cfg=dict(image_size=NATIVE, model_name=model),
        text_cfg=dict(context_length=text["context"], vocab_size=text["vocab"], dim=text["width"],
                      ffn_multiplier_per_layer=4.0, n_heads_per_layer=text["heads"],
                      n_transformer_layers=text["layers"], norm_layer="layer_norm_fp32", **more)))


def write(name, images, texts):
    out = {"native": images[:2], "larger": images[2:3], "oblong": images[3:], "texts": texts}
    for part, value in out.items():
        np.save(f"{OUT}/{name}_{part}.npy", np.stack(value).astype(np.float32))


def make_ids():
    rng = np.random.default_rng(93)
    ids = np.zeros((5, TEXT["context"]), np.int64)
    for row, count in zip(ids, (1, 3, 9, 20, TEXT["context"] - 2)):
        row[0], row[1 : 1 + count], row[1 + count] = 58, rng.integers(1, 58, count), 59
    np.save(f"{OUT}/ids.npy", ids.astype(np.int32))
    return ids


# ---- models ----

def trunk_of(tensors):
    trunk = fastvits.make_trunk(4)
    trunk.load_state_dict({n: torch.from_numpy(v) for n, v in tensors.items()})
    return trunk


def make_s0(pixels):
    maker = families.Maker(91)
    fastvits.fill(maker, fastvits.make_trunk(4))
    image = {n[len(TRUNK):]: v for n, v in maker.tensors.items()}
    image["head.fc.bias"] = np.zeros(EMBED, np.float32)
    maker.tensors = {}
    make_text(maker)
    trunk, text = trunk_of(image), {n: v.astype(np.float64) for n, v in maker.tensors.items()}
    named = image_names(image, FASTVIT_NAMES)
    read = fastvit.checkpoint_filter_fn({n: torch.from_numpy(v.copy()) for n, v in named.items()}, trunk)
    assert {n: v.tolist() for n, v in read.items()} == {n: v.tolist() for n, v in image.items()}
    parts = ((pixels[:64, :64], pixels[32:, 32:]), (pixels,), (pixels[:32],))
    answer = lambda trunk: [row for part in parts for row in fastvits.encode(trunk, part)]
    ids = make_ids()
    counters = [n for n in named if n.endswith("num_batches_tracked")]
    kept = {n: v for n, v in named.items() if n not in counters[1:]}
    save("s0", "mobileclip_s0.pt", {**kept, **text, "logit_scale": np.float64(5.0)})
    write_config("s0", "mci0", TEXT, causal_masking=False, model_name="mct")
    write("s0", answer(trunk), [encode_text(text, row) for row in ids])

    merged = reparameterize_model(copy.deepcopy(trunk)).double()
    image = halves({n: v.numpy() for n, v in merged.state_dict().items()})
    merged.load_state_dict({n: torch.from_numpy(v) for n, v in image.items()})
    text = halves(merge_text(text))
    named = {n: v for n, v in image_names(image, FASTVIT_NAMES).items() if "num_batches" not in n}
    save("merged", "mobileclip_s0.pt", {**named, **text, "logit_scale": np.float64(2.5)})
    write_config("merged", "mci0", TEXT, causal_masking=False, model_name="mct")
    write("merged", answer(merged), [encode_text(text, row) for row in ids])


def make_b(pixels):
    maker = families.Maker(92)
    mobileclip.make(maker)
    maker.tensors[TRUNK + "head.bias"] = np.zeros(EMBED, np.float32)
    w = {n: v.astype(np.float64) for n, v in maker.tensors.items()}
    image = {n[len(TRUNK):]: v for n, v in w.items() if n.startswith(TRUNK)}
    named = image_names(image, VIT_NAMES)
    named["image_encoder.model.pos_embed.pos_embed.pos_embed"] = image["pos_embed"][None]
    read = vision_transformer_hybrid._convert_mobileclip({n: torch.from_numpy(v.copy()) for n, v in named.items()}, None)
    assert {n: v.tolist() for n, v in read.items()} == {n: v.tolist() for n, v in image.items()}
    text = {}
    for name, value in w.items():
        if not name.startswith("text."):
            continue
        for pattern, put in ((r"^text\.", "text_encoder."), ("token_embedding", "embedding_layer"),
                             (r"positional_embedding", "positional_embedding.pos_embed.pos_embed"),
                             ("ln_final", "final_layer_norm"), ("text_projection", "projection_layer"),
                             (r"transformer\.resblocks", "transformer"), ("ln_1", "pre_norm_mha.0"),
                             (r"attn\.in_proj_", "pre_norm_mha.1.qkv_proj."), (r"attn\.", "pre_norm_mha.1."),
                             ("ln_2", "pre_norm_ffn.0"), (r"mlp\.c_fc", "pre_norm_ffn.1"),
                             (r"mlp\.c_proj", "pre_norm_ffn.4")):
            name = re.sub(pattern, put, name)
        text[name] = value[None, None] if "positional" in name else value
    save("b", "mobileclip_b.pt", {**named, **text, "logit_scale": np.float64(2.5)})
    shape = dict(width=16, heads=4, layers=1, context=families.CONTEXT, vocab=families.VOCAB)
    write_config("b", "vit_b16", shape, causal_masking=True, model_name="base")
    parts = (pixels[:64, :64], pixels[32:, 32:], pixels, pixels[:32])
    ids = np.load(os.path.join(os.path.dirname(OUT), "model", "ids.npy"))
    write("b", [mobileclip.encode_image(w, part, 1e-5) for part in parts],
          [families.encode_text(w, row, shape) for row in ids])


def main():
    families.OUT = OUT
    pixels = np.load(f"{resnet.OUT}/pixels.npy")
    os.makedirs(OUT, exist_ok=True)
    make_s0(pixels)
    make_b(pixels)


if __name__ == "__main__":
    main()
