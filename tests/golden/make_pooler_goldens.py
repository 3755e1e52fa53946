#!/usr/bin/env python3
"""Makes the models of tests/golden/families/ whose images end with attention: SigLIP in the names
of timm and of transformers, CoCa. Tiny, of random weights; what they answer is computed here in
float64, keys and values of all rows included. Needs NumPy only.

    python3 tests/golden/make_pooler_goldens.py
"""
import json
import math
import os

import numpy as np

import make_family_goldens as family
import make_model_goldens as base
from make_family_goldens import CONTEXT, EMBED, IMAGE, OUT, PATCH, VOCAB, linear, norm

TANH = base.ACTIVATIONS["gelu_tanh"]
WIDTH, MLP = 24, 40
SUBWORDS = 500  # of tests/golden/subword/siglip


def attend(q, k, v, heads, masked=None):
    """q is [queries, width]; `masked` [queries, keys] is True where a key is not seen."""
    out = []
    for head in np.split(np.arange(q.shape[1]), heads):
        scores = q[:, head] @ k[:, head].T / math.sqrt(len(head))
        if masked is not None:
            scores = np.where(masked, -np.inf, scores)
        scores = np.exp(scores - scores.max(1, keepdims=True))
        out.append(scores / scores.sum(1, keepdims=True) @ v[:, head])
    return np.concatenate(out, 1)


def patches(pixels, half):
    mean, std = (0.5, 0.5) if half else (base.MEAN.astype(np.float64), base.STD.astype(np.float64))
    g = IMAGE // PATCH
    x = (pixels.astype(np.float64) / 255 - mean) / std
    return x.reshape(g, PATCH, g, PATCH, 3).transpose(0, 2, 4, 1, 3).reshape(g * g, -1)


# ---- blocks under the names of open_clip, timm and transformers ----

NAMES = {
    "oc": ("ln_1", "attn.out_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"),
    "timm": ("norm1", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"),
    "hf": ("layer_norm1", "self_attn.out_proj", "layer_norm2", "mlp.fc1", "mlp.fc2"),
}


def make_block(maker, prefix, names, width, mlp):
    ln_1, out, ln_2, fc, proj = NAMES[names]
    maker.norm(prefix + ln_1, width)
    if names == "hf":
        for part in "qkv":
            maker.linear(f"{prefix}self_attn.{part}_proj", width, width)
    elif names == "timm":
        maker.linear(prefix + "attn.qkv", 3 * width, width)
    else:
        maker.add(prefix + "attn.in_proj_weight", 3 * width, width)
        maker.add(prefix + "attn.in_proj_bias", 3 * width)
    maker.linear(prefix + out, width, width)
    maker.norm(prefix + ln_2, width)
    maker.linear(prefix + fc, mlp, width)
    maker.linear(prefix + proj, width, mlp)


def block(x, w, prefix, names, heads, act, eps, masked=None):
    ln_1, out, ln_2, fc, proj = NAMES[names]
    h = norm(x, w, prefix + ln_1, eps)
    if names == "hf":
        q, k, v = (linear(h, w, f"{prefix}self_attn.{part}_proj") for part in "qkv")
    elif names == "timm":
        q, k, v = np.split(linear(h, w, prefix + "attn.qkv"), 3, 1)
    else:
        q, k, v = np.split(h @ w[prefix + "attn.in_proj_weight"].T + w[prefix + "attn.in_proj_bias"], 3, 1)
    x = x + linear(attend(q, k, v, heads, masked), w, prefix + out)
    return x + linear(act(linear(norm(x, w, prefix + ln_2, eps), w, prefix + fc)), w, prefix + proj)


# ---- SigLIP ----

def make_siglip(maker, hf):
    g = (IMAGE // PATCH) ** 2
    v = "vision_model." if hf else "visual.trunk."
    conv = v + ("embeddings.patch_embedding" if hf else "patch_embed.proj")
    maker.add(conv + ".weight", WIDTH, 3, PATCH, PATCH)
    maker.add(conv + ".bias", WIDTH)
    if hf:
        maker.add(v + "embeddings.position_embedding.weight", g, WIDTH, scale=0.5)
    else:
        maker.add(v + "pos_embed", 1, g, WIDTH, scale=0.5)
    for i in range(2):
        make_block(maker, f"{v}encoder.layers.{i}." if hf else f"{v}blocks.{i}.", "hf" if hf else "timm", WIDTH, MLP)
    maker.norm(v + ("post_layernorm" if hf else "norm"), WIDTH)
    head = v + ("head." if hf else "attn_pool.")
    maker.add(head + ("probe" if hf else "latent"), 1, 1, WIDTH, scale=1)
    if hf:
        maker.add(head + "attention.in_proj_weight", 3 * WIDTH, WIDTH)
        maker.add(head + "attention.in_proj_bias", 3 * WIDTH)
        maker.linear(head + "attention.out_proj", WIDTH, WIDTH)
    else:
        maker.linear(head + "q", WIDTH, WIDTH)
        maker.linear(head + "kv", 2 * WIDTH, WIDTH)
        maker.linear(head + "proj", WIDTH, WIDTH)
    maker.norm(head + ("layernorm" if hf else "norm"), WIDTH)
    maker.linear(head + "mlp.fc1", MLP, WIDTH)
    maker.linear(head + "mlp.fc2", WIDTH, MLP)
    t = "text_model." if hf else "text."
    vocab = SUBWORDS if hf else VOCAB
    maker.add(t + ("embeddings.token_embedding.weight" if hf else "token_embedding.weight"), vocab, WIDTH, scale=1)
    maker.add(t + ("embeddings.position_embedding.weight" if hf else "positional_embedding"), CONTEXT, WIDTH, scale=0.5)
    make_block(maker, t + ("encoder.layers.0." if hf else "transformer.resblocks.0."), "hf" if hf else "oc", WIDTH, MLP)
    maker.norm(t + ("final_layer_norm" if hf else "ln_final"), WIDTH)
    maker.linear(t + ("head" if hf else "text_projection"), WIDTH, WIDTH)
    maker.add("logit_scale", 1, scale=0, around=2.5)
    maker.add("logit_bias", 1, scale=0, around=-3.0)


def siglip_image(w, pixels, hf, heads):
    v, act = ("vision_model.", TANH) if hf else ("visual.trunk.", family.GELU)
    conv = v + ("embeddings.patch_embedding" if hf else "patch_embed.proj")
    x = patches(pixels, hf) @ w[conv + ".weight"].reshape(WIDTH, -1).T + w[conv + ".bias"]
    x = x + w[v + ("embeddings.position_embedding.weight" if hf else "pos_embed")].reshape(x.shape)
    for i in range(2):
        x = block(x, w, f"{v}encoder.layers.{i}." if hf else f"{v}blocks.{i}.", "hf" if hf else "timm", heads, act, 1e-6)
    x = norm(x, w, v + ("post_layernorm" if hf else "norm"), 1e-6)
    head = v + ("head." if hf else "attn_pool.")
    query = w[head + ("probe" if hf else "latent")][0]
    if hf:
        weights = np.split(w[head + "attention.in_proj_weight"], 3)
        biases = np.split(w[head + "attention.in_proj_bias"], 3)
        q, k, value = (rows @ part.T + bias for rows, part, bias in zip((query, x, x), weights, biases))
    else:
        q = linear(query, w, head + "q")
        k, value = np.split(linear(x, w, head + "kv"), 2, 1)
    a = linear(attend(q, k, value, heads), w, head + ("attention.out_proj" if hf else "proj"))
    h = act(linear(norm(a, w, head + ("layernorm" if hf else "norm"), 1e-6), w, head + "mlp.fc1"))
    return (a + linear(h, w, head + "mlp.fc2"))[0]


def siglip_text(w, ids, hf, heads):
    t, act = ("text_model.", TANH) if hf else ("text.", family.GELU)
    x = w[t + ("embeddings.token_embedding.weight" if hf else "token_embedding.weight")][ids]
    x = x + w[t + ("embeddings.position_embedding.weight" if hf else "positional_embedding")]
    x = block(x, w, t + ("encoder.layers.0." if hf else "transformer.resblocks.0."), "hf" if hf else "oc", heads, act, 1e-6)
    return linear(norm(x[-1], w, t + ("final_layer_norm" if hf else "ln_final"), 1e-6), w,
                  t + ("head" if hf else "text_projection"))


def write_siglip_configs():
    tower = dict(hidden_size=WIDTH, intermediate_size=MLP, num_attention_heads=4)
    family.write_json("siglip/config.json", dict(
        model_type="siglip",
        vision_config=dict(image_size=IMAGE, patch_size=PATCH, num_hidden_layers=2, **tower),
        text_config=dict(max_position_embeddings=CONTEXT, vocab_size=SUBWORDS, num_hidden_layers=1, pad_token_id=0,
                         **tower)))
    family.write_json("siglip_timm/open_clip_config.json", dict(model_cfg=dict(
        embed_dim=WIDTH, custom_text=True, init_logit_bias=-10,
        vision_cfg=dict(image_size=IMAGE, timm_model_name="vit_base_patch16_siglip_224", timm_pool="map",
                        timm_proj="none"),
        text_cfg=dict(context_length=CONTEXT, vocab_size=VOCAB, width=WIDTH, heads=3, layers=1, no_causal_mask=True,
                      proj_bias=True, pool_type="last", norm_kwargs=dict(eps=1e-6)))))


def caption():
    """The ids of a text as the tokenizer beside tests/golden/subword/siglip says, padded with its </s>, though the
    configuration of the model says 0."""
    with open(os.path.join(OUT, "..", "subword", "texts.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    ids = next(row["siglip"] for row in rows if row["text"] == "a photo of a cat")
    return np.array(ids + [1] * (CONTEXT - len(ids)))


# ---- CoCa, with rows as wide as the query, so that its products are one tensor ----

def make_coca(maker):
    maker.add("visual.class_embedding", WIDTH, scale=1)
    maker.add("visual.conv1.weight", WIDTH, 3, PATCH, PATCH)
    maker.add("visual.positional_embedding", 1 + (IMAGE // PATCH) ** 2, WIDTH, scale=0.5)
    for name in ("ln_pre", "attn_pool.ln_q", "attn_pool.ln_k", "ln_post"):
        maker.norm("visual." + name, WIDTH)
    make_block(maker, "visual.transformer.resblocks.0.", "oc", WIDTH, 4 * WIDTH)
    maker.add("visual.attn_pool.query", 3, WIDTH, scale=1)
    maker.add("visual.attn_pool.attn.in_proj_weight", 3 * WIDTH, WIDTH)
    maker.add("visual.attn_pool.attn.in_proj_bias", 3 * WIDTH)
    maker.linear("visual.attn_pool.attn.out_proj", WIDTH, WIDTH)
    maker.add("visual.proj", WIDTH, WIDTH)
    maker.add("text.token_embedding.weight", VOCAB, WIDTH, scale=1)
    maker.add("text.positional_embedding", CONTEXT + 1, WIDTH, scale=0.5)
    maker.add("text.cls_emb", WIDTH, scale=1)
    for i in range(2):
        make_block(maker, f"text.transformer.resblocks.{i}.", "oc", WIDTH, 4 * WIDTH)
    maker.norm("text.ln_final", WIDTH)
    maker.add("text.text_projection", WIDTH, WIDTH)
    maker.norm("text_decoder.ln_final", WIDTH)
    maker.add("logit_scale", scale=0, around=2.5)


def write_coca_config(folder, **text):
    family.write_json(f"{folder}/open_clip_config.json", dict(model_cfg=dict(
        embed_dim=WIDTH, custom_text=True, multimodal_cfg=dict(width=WIDTH),
        vision_cfg=dict(image_size=IMAGE, patch_size=PATCH, width=WIDTH, layers=1, head_width=6, attentional_pool=True,
                        attn_pooler_heads=3, attn_pooler_queries=3),
        text_cfg=dict(context_length=CONTEXT, vocab_size=VOCAB, width=WIDTH, heads=3, layers=2, embed_cls=True,
                      **text))))


def coca_image(w, pixels):
    x = patches(pixels, False) @ w["visual.conv1.weight"].reshape(WIDTH, -1).T
    x = np.concatenate([w["visual.class_embedding"][None], x]) + w["visual.positional_embedding"]
    x = block(norm(x, w, "visual.ln_pre"), w, "visual.transformer.resblocks.0.", "oc", 4, family.GELU, 1e-5)
    query, x = norm(w["visual.attn_pool.query"], w, "visual.attn_pool.ln_q"), norm(x, w, "visual.attn_pool.ln_k")
    weights = np.split(w["visual.attn_pool.attn.in_proj_weight"], 3)
    biases = np.split(w["visual.attn_pool.attn.in_proj_bias"], 3)
    q, k, v = (rows @ part.T + bias for rows, part, bias in zip((query, x, x), weights, biases))
    pooled = linear(attend(q, k, v, 3), w, "visual.attn_pool.attn.out_proj")
    return norm(pooled, w, "visual.ln_post")[0] @ w["visual.proj"]


def coca_text(w, ids, unseen=0):
    x = np.concatenate([w["text.token_embedding.weight"][ids], w["text.cls_emb"][None]])
    x = x + w["text.positional_embedding"]
    masked = np.triu(np.ones((len(x), len(x))), 1) > 0
    masked[-1] = np.concatenate([[False], ids == unseen])
    for i in range(2):
        x = block(x, w, f"text.transformer.resblocks.{i}.", "oc", 3, family.GELU, 1e-5, masked)
    return norm(x[-1], w, "text.ln_final") @ w["text.text_projection"]


def main():
    pixels, ids = (np.load(f"{base.OUT}/{name}.npy") for name in ("pixels", "ids"))
    ids[2, 3] = 0  # padding amid a text, which CoCa's class row does not see either
    out = {}
    for folder, hf, heads in (("siglip", True, 4), ("siglip_timm", False, 12)):
        maker = family.Maker(61)
        make_siglip(maker, hf)
        w = maker.save(folder, "model.safetensors" if hf else "open_clip_model.safetensors")
        out[folder + "_images"] = [siglip_image(w, p, hf, heads) for p in pixels]
        out[folder + "_texts"] = [siglip_text(w, i, hf, heads if hf else 3) for i in ids]
        if hf:
            out["siglip_caption"] = [siglip_text(w, caption(), hf, heads)]
    write_siglip_configs()
    maker = family.Maker(62)
    make_coca(maker)
    w = maker.save("coca")
    write_coca_config("coca")
    os.makedirs(f"{OUT}/coca_pad", exist_ok=True)
    write_coca_config("coca_pad", pad_id=9)  # an id of the texts; their context is filled with 0 all the same
    weights = f"{OUT}/coca_pad/open_clip_model.safetensors"
    if not os.path.lexists(weights):
        os.symlink("../coca/open_clip_model.safetensors", weights)
    out["coca_images"] = out["coca_pad_images"] = [coca_image(w, p) for p in pixels]
    out["coca_texts"] = [coca_text(w, i) for i in ids]
    out["coca_pad_texts"] = [coca_text(w, i, 9) for i in ids]
    np.save(f"{OUT}/pooler_ids.npy", ids)
    for name, value in out.items():
        np.save(f"{OUT}/{name}.npy", np.stack(value).astype(np.float32))


if __name__ == "__main__":
    main()
