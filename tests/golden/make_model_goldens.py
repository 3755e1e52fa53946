#!/usr/bin/env python3
"""Makes tests/golden/model/: a tiny CLIP of random weights in three naming schemes and
number types, and what it answers, computed here in float64. Needs NumPy only.

    python3 tests/golden/make_model_goldens.py
"""
import json
import math
import os
import struct

import numpy as np

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model")
IMAGE, PATCH, EMBED = 16, 4, 12
VISION = dict(width=16, layers=2, heads=2, mlp=40)
TEXT = dict(width=24, layers=2, heads=3, mlp=56, context=10, vocab=50)
MEAN = np.float32([0.48145466, 0.4578275, 0.40821073])
STD = np.float32([0.26862954, 0.26130258, 0.27577711])
rng = np.random.default_rng(20)


def normal(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def tower(prefix, t):
    w, m, out = t["width"], t["mlp"], {}
    for i in range(t["layers"]):
        p = f"{prefix}{i}."
        for ln in ("ln_1", "ln_2"):
            out[p + ln + ".weight"] = 1 + normal(w, scale=0.2)
            out[p + ln + ".bias"] = normal(w, scale=0.2)
        out[p + "attn.in_proj_weight"] = normal(3 * w, w, scale=0.4)
        out[p + "attn.in_proj_bias"] = normal(3 * w, scale=0.2)
        for name, n, k in (("attn.out_proj", w, w), ("mlp.c_fc", m, w), ("mlp.c_proj", w, m)):
            out[p + name + ".weight"] = normal(n, k, scale=0.3)
            out[p + name + ".bias"] = normal(n, scale=0.2)
    return out


def make():
    w, t = VISION["width"], TEXT["width"]
    out = {
        "visual.class_embedding": normal(w),
        "visual.positional_embedding": normal(1 + (IMAGE // PATCH) ** 2, w, scale=0.5),
        "visual.conv1.weight": normal(w, 3, PATCH, PATCH, scale=0.2),
        "visual.proj": normal(w, EMBED, scale=0.3),
        "positional_embedding": normal(TEXT["context"], t, scale=0.5),
        "token_embedding.weight": normal(TEXT["vocab"], t),
        "text_projection": normal(t, EMBED, scale=0.3),
        "logit_scale": np.float32(2.5),
    }
    for ln, width in (("visual.ln_pre", w), ("visual.ln_post", w), ("ln_final", t)):
        out[ln + ".weight"] = 1 + normal(width, scale=0.2)
        out[ln + ".bias"] = normal(width, scale=0.2)
    out.update(tower("visual.transformer.resblocks.", VISION))
    out.update(tower("transformer.resblocks.", TEXT))
    return out


# ---- the model, in float64 ----

erf = np.vectorize(math.erf)
ACTIVATIONS = {
    "quick_gelu": lambda x: x / (1 + np.exp(-1.702 * x)),
    "gelu": lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
}


def layer_norm(x, w, name):
    mean = x.mean(-1, keepdims=True)
    scale = np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5)
    return (x - mean) / scale * w[name + ".weight"] + w[name + ".bias"]


def blocks(x, w, prefix, t, act, causal):
    n, d = len(x), t["width"] // t["heads"]
    for i in range(t["layers"]):
        p = f"{prefix}{i}."
        qkv = layer_norm(x, w, p + "ln_1") @ w[p + "attn.in_proj_weight"].T
        q, k, v = np.split(qkv + w[p + "attn.in_proj_bias"], 3, axis=1)
        heads = []
        for h in range(t["heads"]):
            c = slice(h * d, (h + 1) * d)
            scores = q[:, c] @ k[:, c].T / math.sqrt(d)
            if causal:
                scores = np.where(np.tril(np.ones((n, n))) > 0, scores, -np.inf)
            scores = np.exp(scores - scores.max(1, keepdims=True))
            heads.append(scores / scores.sum(1, keepdims=True) @ v[:, c])
        h = np.concatenate(heads, 1) @ w[p + "attn.out_proj.weight"].T + w[p + "attn.out_proj.bias"]
        x = x + h * w.get(p + "ls_1.gamma", 1)
        h = layer_norm(x, w, p + "ln_2") @ w[p + "mlp.c_fc.weight"].T + w[p + "mlp.c_fc.bias"]
        h = act(h) @ w[p + "mlp.c_proj.weight"].T + w[p + "mlp.c_proj.bias"]
        x = x + h * w.get(p + "ls_2.gamma", 1)
    return x


def encode_image(w, pixels, act, variant=False):
    g = IMAGE // PATCH
    x = (pixels.astype(np.float32) / np.float32(255) - MEAN) / STD
    x = x.reshape(g, PATCH, g, PATCH, 3).transpose(0, 2, 4, 1, 3).reshape(g * g, -1)
    x = x.astype(np.float64) @ w["visual.conv1.weight"].reshape(VISION["width"], -1).T
    x = np.concatenate([w["visual.class_embedding"][None], x]) + w["visual.positional_embedding"]
    if not variant:
        x = layer_norm(x, w, "visual.ln_pre")
    x = blocks(x, w, "visual.transformer.resblocks.", VISION, act, False)
    pooled = x[1:].mean(0) if variant else x[0]
    return layer_norm(pooled, w, "visual.ln_post") @ w["visual.proj"]


def encode_text(w, ids, act, variant=False):
    x = w["token_embedding.weight"][ids] + w["positional_embedding"]
    if variant:  # neither a mask nor an end: the last row, whatever it is
        x = blocks(x, w, "transformer.resblocks.", TEXT, act, False)
        return layer_norm(x[-1], w, "ln_final") @ w["text_projection.weight"].T + w["text_projection.bias"]
    x = blocks(x, w, "transformer.resblocks.", TEXT, act, True)
    return layer_norm(x[ids.argmax()], w, "ln_final") @ w["text_projection"]


# ---- positions for a 6 x 6 and a 3 x 3 grid ----

def cubic(x, a):
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


def axis_open_clip(to, n):
    m = np.zeros((to, n))
    s = max(n / to, 1)
    for i in range(to):
        for j in range(n):
            m[i, j] = cubic((j + 0.5 - (i + 0.5) * n / to) / s, -0.5)
    return m / m.sum(1, keepdims=True)


def axis_hf(to, n):
    m = np.zeros((to, n))
    for i in range(to):
        at = (i + 0.5) * n / to - 0.5
        for tap in range(math.floor(at) - 1, math.floor(at) + 3):
            m[i, min(max(tap, 0), n - 1)] += cubic(at - tap, -0.75)
    return m


def resize(grid, to, axis):
    n = grid.shape[0]
    return np.einsum("yv,xu,vuc->yxc", axis(to, n), axis(to, n), grid)


# ---- files ----

def hf_names(w):
    out = {}
    for name, value in w.items():
        vision = name.startswith("visual.")
        half, head = ("vision_model.", "visual.") if vision else ("text_model.", "")
        if "resblocks" in name:
            layer, rest = name.split("resblocks.")[1].split(".", 1)
            base = f"{half}encoder.layers.{layer}."
            if "in_proj" in rest:
                for part, rows in zip("qkv", np.split(value, 3)):
                    out[f"{base}self_attn.{part}_proj.{rest.split('_')[-1]}"] = rows
                continue
            for a, b in (("ln_", "layer_norm"), ("attn.", "self_attn."), ("c_fc", "fc1"), ("c_proj", "fc2")):
                rest = rest.replace(a, b)
            out[base + rest] = value
            continue
        short = name[len(head):]
        if short in ("proj", "text_projection"):
            out["visual_projection.weight" if vision else "text_projection.weight"] = value.T
            continue
        if short == "logit_scale":
            out[short] = value
            continue
        for a, b in (("conv1.weight", "embeddings.patch_embedding.weight"),
                     ("positional_embedding", "embeddings.position_embedding.weight"),
                     ("class_embedding", "embeddings.class_embedding"),
                     ("token_embedding", "embeddings.token_embedding"),
                     ("ln_pre", "pre_layrnorm"), ("ln_post", "post_layernorm"),
                     ("ln_final", "final_layer_norm")):
            if short.startswith(a):
                short = b + short[len(a):]
        out[half + short] = value
    out["text_model.embeddings.position_ids"] = np.arange(TEXT["context"], dtype=np.int64)[None]
    return out


def custom_text(w):
    return {n if n.startswith("visual.") or n == "logit_scale" else "text." + n: v for n, v in w.items()}


def to_bf16(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def save(path, tensors, kind):
    header, blob = {"__metadata__": {"format": "pt"}}, b""
    for name in sorted(tensors):
        value = tensors[name]
        if value.dtype == np.int64:
            data, dtype = value.tobytes(), "I64"
        elif kind == "BF16":
            data, dtype = to_bf16(value).tobytes(), kind
        else:
            data = np.ascontiguousarray(value, np.float16 if kind == "F16" else np.float32).tobytes()
            dtype = kind
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + blob)


def write_json(path, value):
    with open(os.path.join(OUT, path), "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def write_configs():
    hf_tower = lambda t: dict(hidden_size=t["width"], intermediate_size=t["mlp"], num_hidden_layers=t["layers"],
                              num_attention_heads=t["heads"], hidden_act="quick_gelu", layer_norm_eps=1e-5)
    write_json("hf/config.json", dict(
        model_type="clip", projection_dim=EMBED,
        text_config=dict(hf_tower(TEXT), vocab_size=TEXT["vocab"], max_position_embeddings=TEXT["context"],
                         eos_token_id=TEXT["vocab"] - 1),
        vision_config=dict(hf_tower(VISION), image_size=IMAGE, patch_size=PATCH)))
    write_json("hf/preprocessor_config.json", dict(
        do_resize=True, size=dict(shortest_edge=IMAGE), resample=3, do_center_crop=True,
        crop_size=dict(height=IMAGE, width=IMAGE), do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
        image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711]))
    write_json("open_clip/open_clip_config.json", dict(model_cfg=dict(
        embed_dim=EMBED, quick_gelu=True, custom_text=True,
        vision_cfg=dict(image_size=IMAGE, layers=VISION["layers"], width=VISION["width"],
                        head_width=VISION["width"] // VISION["heads"], patch_size=PATCH, mlp_ratio=2.5),
        text_cfg=dict(context_length=TEXT["context"], vocab_size=TEXT["vocab"], width=TEXT["width"],
                      heads=TEXT["heads"], layers=TEXT["layers"])),
        preprocess_cfg=dict(mean=[0.48145466, 0.4578275, 0.40821073], std=[0.26862954, 0.26130258, 0.27577711])))


def write_variant(weights, pixels, ids, out):
    """All at once that OpenCLIP's towers may do otherwise: LayerScale, no ln_pre, the mean of the
    patches, texts without a mask, the last row, a projection with bias. pad_id is not what fills the context."""
    w = {n: v for n, v in weights.items() if "ln_pre" not in n and n != "text_projection"}
    w["text_projection.weight"] = weights["text_projection"].T
    w["text_projection.bias"] = normal(EMBED, scale=0.3)
    for prefix, t in (("visual.transformer.resblocks.", VISION), ("transformer.resblocks.", TEXT)):
        for i in range(t["layers"]):
            for name in ("ls_1.gamma", "ls_2.gamma"):
                w[f"{prefix}{i}.{name}"] = normal(t["width"], scale=0.5)
    save(f"{OUT}/variant/open_clip_model.safetensors", custom_text(w), "F16")
    tower = dict(ls_init_value=1e-5, layers=2)
    write_json("variant/open_clip_config.json", dict(model_cfg=dict(
        embed_dim=EMBED, custom_text=True,
        vision_cfg=dict(tower, image_size=IMAGE, width=VISION["width"], head_width=8, patch_size=PATCH,
                        no_ln_pre=True, pool_type="avg", final_ln_after_pool=True),
        text_cfg=dict(tower, context_length=TEXT["context"], vocab_size=TEXT["vocab"], width=TEXT["width"],
                      heads=TEXT["heads"], no_causal_mask=True, pool_type="last", proj_bias=True, pad_id=3))))
    w = {n: v.astype(np.float16).astype(np.float64) for n, v in w.items()}
    out["variant_gelu_images"] = np.stack([encode_image(w, p, ACTIVATIONS["gelu"], True) for p in pixels])
    out["variant_gelu_texts"] = np.stack([encode_text(w, i, ACTIVATIONS["gelu"], True) for i in ids])


def main():
    os.makedirs(OUT, exist_ok=True)
    weights = make()
    save(f"{OUT}/openai.safetensors", weights, "F32")
    save(f"{OUT}/open_clip/open_clip_model.safetensors", custom_text(weights), "F16")
    save(f"{OUT}/hf/model.safetensors", hf_names(weights), "BF16")
    write_configs()
    pixels = rng.integers(0, 256, (3, IMAGE, IMAGE, 3), dtype=np.uint8)
    ids = np.zeros((4, TEXT["context"]), np.int32)
    for row, length in zip(ids, (2, 5, 9, TEXT["context"])):
        row[:length] = rng.integers(1, TEXT["vocab"] - 2, length)
        row[0], row[length - 1] = TEXT["vocab"] - 2, TEXT["vocab"] - 1
    out = {"pixels": pixels, "ids": ids}
    rounded = {
        "f32": weights,
        "f16": {n: v.astype(np.float16) for n, v in weights.items()},
        "bf16": {n: (to_bf16(v).astype(np.uint32) << 16).view(np.float32) for n, v in weights.items()},
    }
    for kind, values in rounded.items():
        w = {n: v.astype(np.float64) for n, v in values.items()}
        for name, act in ACTIVATIONS.items():
            if kind != "f32" and name != "quick_gelu":
                continue
            out[f"{kind}_{name}_images"] = np.stack([encode_image(w, p, act) for p in pixels])
            out[f"{kind}_{name}_texts"] = np.stack([encode_text(w, i, act) for i in ids])
    grid = weights["visual.positional_embedding"][1:].reshape(IMAGE // PATCH, IMAGE // PATCH, -1).astype(np.float64)
    for to in (3, 6):
        out[f"positions_open_clip_{to}"] = resize(grid, to, axis_open_clip).reshape(to * to, -1)
        out[f"positions_hf_{to}"] = resize(grid, to, axis_hf).reshape(to * to, -1)
    write_variant(weights, pixels, ids, out)
    for name, value in out.items():
        np.save(f"{OUT}/{name}.npy", value.astype(np.float32) if value.dtype == np.float64 else value)


if __name__ == "__main__":
    main()
