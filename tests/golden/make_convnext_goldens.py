#!/usr/bin/env python3
"""Makes tests/golden/convnext/: tiny CLIPs with a ConvNeXt image tower, of random weights in
OpenCLIP's names, and what they answer, computed here in float64 from SPEC 4.5: with one product
at the end and with two. The pictures are those of the ResNets. Needs NumPy only.

    python3 tests/golden/make_convnext_goldens.py
"""
import math
import os

import numpy as np

import make_family_goldens as families
import make_model_goldens as base
import make_resnet_goldens as resnet

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "convnext")
WIDTHS, BLOCKS, EMBED, NATIVE = (6, 10, 12, 20), (1, 2, 1, 1), 12, 64
TRUNK = "visual.trunk."


def make_conv(maker, name, n, channels, window):
    maker.add(name + ".weight", n, channels, window, window, scale=1 / math.sqrt(channels) / window)
    maker.add(name + ".bias", n, scale=0.2)


def make(maker, mlp):
    make_conv(maker, TRUNK + "stem.0", WIDTHS[0], 3, 4)
    maker.norm(TRUNK + "stem.1", WIDTHS[0])
    for stage, width in enumerate(WIDTHS):
        if stage:
            p = f"{TRUNK}stages.{stage}.downsample."
            maker.norm(p + "0", WIDTHS[stage - 1])
            make_conv(maker, p + "1", width, WIDTHS[stage - 1], 2)
        for i in range(BLOCKS[stage]):
            p = f"{TRUNK}stages.{stage}.blocks.{i}."
            make_conv(maker, p + "conv_dw", width, 1, 7)
            maker.norm(p + "norm", width)
            maker.linear(p + "mlp.fc1", 4 * width, width)
            maker.linear(p + "mlp.fc2", width, 4 * width)
            maker.add(p + "gamma", width, scale=0.3, around=0.5)
    maker.norm(TRUNK + "head.norm", WIDTHS[-1])
    if mlp:
        maker.linear("visual.head.mlp.fc1", 2 * EMBED, WIDTHS[-1])
        maker.linear("visual.head.mlp.fc2", EMBED, 2 * EMBED, bias=False)
    else:
        maker.linear("visual.head.proj", EMBED, WIDTHS[-1], bias=False)
    maker.tensors["logit_scale"] = np.float32(2.5)
    return families.make_text(maker, "", 16, 2, EMBED)


# ---- the model; maps are [height, width, channels] ----

def patches(x, w, name):
    """A convolution whose windows lie beside each other."""
    weight = w[name + ".weight"]
    side = weight.shape[2]
    height, width = x.shape[0] // side, x.shape[1] // side
    x = x.reshape(height, side, width, side, -1)
    return np.einsum("yixjc,ncij->yxn", x, weight) + w[name + ".bias"]


def depthwise(x, w, name):
    weight = w[name + ".weight"][:, 0]
    x = np.pad(x, ((3, 3), (3, 3), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(x, (7, 7), (0, 1))
    return np.einsum("yxcij,cij->yxc", seen, weight) + w[name + ".bias"]


def encode_image(w, pixels):
    norm = lambda x, name: families.norm(x, w, name, 1e-6)
    x = (pixels.astype(np.float32) / np.float32(255) - base.MEAN) / base.STD
    x = norm(patches(x.astype(np.float64), w, TRUNK + "stem.0"), TRUNK + "stem.1")
    for stage in range(4):
        if stage:
            p = f"{TRUNK}stages.{stage}.downsample."
            x = patches(norm(x, p + "0"), w, p + "1")
        for i in range(BLOCKS[stage]):
            p = f"{TRUNK}stages.{stage}.blocks.{i}."
            y = norm(depthwise(x, w, p + "conv_dw"), p + "norm")
            y = families.linear(families.GELU(families.linear(y, w, p + "mlp.fc1")), w, p + "mlp.fc2")
            x = x + y * w[p + "gamma"]
    x = norm(x.mean((0, 1)), TRUNK + "head.norm")
    if "visual.head.proj.weight" in w:
        return families.linear(x, w, "visual.head.proj")
    return families.linear(families.GELU(families.linear(x, w, "visual.head.mlp.fc1")), w, "visual.head.mlp.fc2")


def main():
    pixels = np.load(f"{resnet.OUT}/pixels.npy")
    families.OUT = OUT
    for seed, kind in ((61, "linear"), (62, "mlp")):
        maker = families.Maker(seed)
        text = make(maker, kind == "mlp")
        w = maker.save(kind)
        families.write_json(f"{kind}/open_clip_config.json", dict(model_cfg=dict(
            embed_dim=EMBED,
            vision_cfg=dict(timm_model_name="convnext_base", timm_model_pretrained=False, timm_pool="",
                            timm_proj=kind, timm_drop=0.0, image_size=NATIVE),
            text_cfg=families.text_config(**text))))
        out = {
            "native": np.stack([encode_image(w, pixels[:64, :64]), encode_image(w, pixels[32:, 32:])]),
            "larger": encode_image(w, pixels)[None],
            "oblong": encode_image(w, pixels[:32])[None],
        }
        for name, value in out.items():
            np.save(f"{OUT}/{kind}_{name}.npy", value.astype(np.float32))


if __name__ == "__main__":
    main()
