#!/usr/bin/env python3
"""Makes tests/golden/resnet/: a tiny CLIP with a ModifiedResNet, of random weights, and what it
answers, computed here in float64 from SPEC 2: in the names of OpenAI and OpenCLIP, and in those
that TinyCLIP's training gives them. Needs NumPy only.

    python3 tests/golden/make_resnet_goldens.py
"""
import math
import os

import numpy as np

import make_family_goldens as families
import make_model_goldens as base

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "resnet")
WIDTH, BLOCKS, HEAD_WIDTH, EMBED = 2, (2, 1, 1, 1), 32, 12
NATIVE = 64  # pixels
CHANNELS = 32 * WIDTH


def make_conv(maker, name, norm, n, channels, window):
    maker.add(name + ".weight", n, channels, window, window, scale=1.4 / math.sqrt(channels * window**2))
    maker.norm(norm, n)
    maker.add(norm + ".running_mean", n, scale=0.3)
    maker.add(norm + ".running_var", n, scale=0.2, around=1.0)
    maker.tensors[norm + ".running_var"] = np.abs(maker.tensors[norm + ".running_var"])
    maker.tensors[norm + ".num_batches_tracked"] = np.array(7, np.int64)


def blocks():
    """Name, channels that come in, planes, stride."""
    channels = WIDTH
    for stage, count in enumerate(BLOCKS):
        planes = WIDTH << stage
        for i in range(count):
            yield f"visual.layer{stage + 1}.{i}.", channels, planes, 2 if stage and not i else 1, not i
            channels = 4 * planes


def make(maker):
    half = WIDTH // 2
    for i, (channels, n) in enumerate(((3, half), (half, half), (half, WIDTH))):
        make_conv(maker, f"visual.conv{i + 1}", f"visual.bn{i + 1}", n, channels, 3)
    for p, channels, planes, _, first in blocks():
        make_conv(maker, p + "conv1", p + "bn1", planes, channels, 1)
        make_conv(maker, p + "conv2", p + "bn2", planes, planes, 3)
        make_conv(maker, p + "conv3", p + "bn3", 4 * planes, planes, 1)
        if first:
            make_conv(maker, p + "downsample.0", p + "downsample.1", 4 * planes, channels, 1)
    p = "visual.attnpool."
    maker.add(p + "positional_embedding", 1 + (NATIVE // 32) ** 2, CHANNELS)
    for name in ("q_proj", "k_proj", "v_proj"):
        maker.linear(p + name, CHANNELS, CHANNELS)
    maker.linear(p + "c_proj", EMBED, CHANNELS)
    maker.tensors["logit_scale"] = np.float32(2.5)
    return families.make_text(maker, "", 32, 2, EMBED)


# ---- the model; maps are [height, width, channels] ----

def conv(x, w, name, norm, stride=1):
    weight = w[name + ".weight"]
    window = weight.shape[2]
    pad = window // 2
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(x, (window, window), (0, 1))[::stride, ::stride]
    x = np.einsum("yxcij,ncij->yxn", seen, weight)
    scale = w[norm + ".weight"] / np.sqrt(w[norm + ".running_var"] + 1e-5)
    return (x - w[norm + ".running_mean"]) * scale + w[norm + ".bias"]


def pool(x, side):
    height, width = x.shape[0] // side, x.shape[1] // side
    return x[: height * side, : width * side].reshape(height, side, width, side, -1).mean((1, 3))


def relu(x):
    return np.maximum(x, 0)


def encode_image(w, pixels):
    x = (pixels.astype(np.float32) / np.float32(255) - base.MEAN) / base.STD
    x = x.astype(np.float64)
    for i in range(3):
        x = relu(conv(x, w, f"visual.conv{i + 1}", f"visual.bn{i + 1}", 1 if i else 2))
    x = pool(x, 2)
    for p, _, _, stride, first in blocks():
        y = relu(conv(x, w, p + "conv1", p + "bn1"))
        y = relu(conv(y, w, p + "conv2", p + "bn2"))
        y = conv(pool(y, stride), w, p + "conv3", p + "bn3")
        around = conv(pool(x, stride), w, p + "downsample.0", p + "downsample.1") if first else x
        x = relu(y + around)
    p, grid = "visual.attnpool.", x.shape[:2]
    positions = w[p + "positional_embedding"]
    if grid != (NATIVE // 32, NATIVE // 32):
        own = positions[1:].reshape(NATIVE // 32, NATIVE // 32, -1)
        down, across = (base.axis_open_clip(n, NATIVE // 32) for n in grid)
        own = np.einsum("yv,xu,vuc->yxc", down, across, own)
        positions = np.concatenate([positions[:1], own.reshape(-1, CHANNELS)])
    x = x.reshape(-1, CHANNELS)
    x = np.concatenate([x.mean(0, keepdims=True), x]) + positions
    q, k, v = (families.linear(x, w, p + name) for name in ("q_proj", "k_proj", "v_proj"))
    return families.linear(families.attend(q[:1], k, v, HEAD_WIDTH), w, p + "c_proj")[0]


def tinyclip(tensors):
    out = {}
    for name, value in tensors.items():
        half = "_image_encoder" if name.startswith("visual.") else "_text_encoder"
        out[f"_logit_scale.module.{name}" if name == "logit_scale" else f"{half}.module.{name}"] = value
    return out


def main():
    maker = families.Maker(52)
    text = make(maker)
    config = dict(model_cfg=dict(
        embed_dim=EMBED, quick_gelu=True,
        vision_cfg=dict(image_size=NATIVE, layers=list(BLOCKS), width=WIDTH, head_width=HEAD_WIDTH, patch_size=None),
        text_cfg=families.text_config(**text)))
    base.save(f"{OUT}/open_clip/open_clip_model.safetensors", maker.tensors, "F16")
    base.save(f"{OUT}/tinyclip.safetensors", tinyclip(maker.tensors), "F16")
    families.OUT = OUT
    families.write_json("open_clip/open_clip_config.json", config)
    pixels = np.random.default_rng(53).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    pixels = (pixels.astype(int) + np.arange(96)[:, None, None] * 2).clip(0, 255).astype(np.uint8)
    w = {n: v.astype(np.float64) for n, v in maker.tensors.items()}
    out = {
        "pixels": pixels,
        # The upper left and the lower right corner; all of it, by other positions; an oblong part.
        "native": np.stack([encode_image(w, pixels[:64, :64]), encode_image(w, pixels[32:, 32:])]),
        "larger": encode_image(w, pixels)[None],
        "oblong": encode_image(w, pixels[:32])[None],
    }
    for name, value in out.items():
        np.save(f"{OUT}/{name}.npy", value.astype(np.float32) if value.dtype == np.float64 else value)


if __name__ == "__main__":
    main()
