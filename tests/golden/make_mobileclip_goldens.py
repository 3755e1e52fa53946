#!/usr/bin/env python3
"""Makes tests/golden/mobileclip/: a tiny MobileCLIP-B, whose ViT begins with three convolutions, of
random weights in OpenCLIP's names, and what it answers, computed here in float64 from SPEC 4.6
and timm's description of vit_base_mci_224. The pictures are those of the ResNets. Needs NumPy
only.

    python3 tests/golden/make_mobileclip_goldens.py
"""
import os

import numpy as np

import make_convnext_goldens as convnext
import make_family_goldens as families
import make_resnet_goldens as resnet

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mobileclip")
WIDTH, HEADS, LAYERS, EMBED, NATIVE, PATCH = 48, 12, 2, 12, 64, 16
TRUNK = "visual.trunk."
STEM = TRUNK + "patch_embed.backbone."


def make(maker):
    for i, (n, channels, window) in enumerate(((WIDTH // 4, 3, 4), (WIDTH // 4, WIDTH // 4, 2))):
        resnet.make_conv(maker, f"{STEM}{i}.conv", f"{STEM}{i}.bn", n, channels, window)
    convnext.make_conv(maker, STEM + "2.conv", WIDTH, WIDTH // 4, 2)
    maker.add(TRUNK + "cls_token", 1, 1, WIDTH)
    maker.add(TRUNK + "pos_embed", 1, (NATIVE // PATCH) ** 2, WIDTH)
    for i in range(LAYERS):
        p = f"{TRUNK}blocks.{i}."
        for name in ("norm1", "norm2"):
            maker.norm(p + name, WIDTH)
        maker.linear(p + "attn.qkv", 3 * WIDTH, WIDTH)
        maker.linear(p + "attn.proj", WIDTH, WIDTH)
        maker.linear(p + "mlp.fc1", 2 * WIDTH, WIDTH)
        maker.linear(p + "mlp.fc2", WIDTH, 2 * WIDTH)
    maker.norm(TRUNK + "norm", WIDTH)
    maker.linear(TRUNK + "head", EMBED, WIDTH)
    maker.tensors["logit_scale"] = np.float32(2.5)
    return families.make_text(maker, "text.", 16, 2, EMBED)


def stem(w, x):
    """A convolution of windows beside each other, then its BatchNorm, but for the last."""
    for i in range(3):
        name = f"{STEM}{i}."
        side = w[name + "conv.weight"].shape[2]
        height, width = x.shape[0] // side, x.shape[1] // side
        x = np.einsum("yixjc,ncij->yxn", x.reshape(height, side, width, side, -1), w[name + "conv.weight"])
        if i == 2:
            return x + w[name + "conv.bias"]
        x = (x - w[name + "bn.running_mean"]) / np.sqrt(w[name + "bn.running_var"] + 1e-5)
        x = families.GELU(x * w[name + "bn.weight"] + w[name + "bn.bias"])


def encode_image(w, pixels, eps=1e-6):
    norm = lambda x, name: families.norm(x, w, name, eps)
    x = stem(w, pixels.astype(np.float64) / 255)
    grid, side = x.shape[:2], NATIVE // PATCH
    positions = w[TRUNK + "pos_embed"].reshape(side, side, WIDTH)
    if grid != (side, side):
        down, across = (convnext.base.axis_open_clip(n, side) for n in grid)
        positions = np.einsum("yv,xu,vuc->yxc", down, across, positions)
    x = np.concatenate([w[TRUNK + "cls_token"][0], (x + positions).reshape(-1, WIDTH)])
    for i in range(LAYERS):
        p = f"{TRUNK}blocks.{i}."
        q, k, v = np.split(families.linear(norm(x, p + "norm1"), w, p + "attn.qkv"), 3, 1)
        x = x + families.linear(families.attend(q, k, v, WIDTH // HEADS), w, p + "attn.proj")
        y = families.GELU(families.linear(norm(x, p + "norm2"), w, p + "mlp.fc1"))
        x = x + families.linear(y, w, p + "mlp.fc2")
    return families.linear(norm(x[0], TRUNK + "norm"), w, TRUNK + "head")


def main():
    pixels = np.load(f"{resnet.OUT}/pixels.npy")
    families.OUT = OUT
    maker = families.Maker(71)
    text = make(maker)
    w = maker.save("b")
    families.write_json("b/open_clip_config.json", dict(
        model_cfg=dict(
            embed_dim=EMBED, custom_text=True,
            vision_cfg=dict(timm_model_name="vit_base_mci_224", timm_model_pretrained=False, timm_pool="token",
                            timm_proj=None, timm_drop=0.0, timm_drop_path=0.0, image_size=NATIVE),
            text_cfg=families.text_config(**text)),
        preprocess_cfg=dict(mean=[0, 0, 0], std=[1, 1, 1], interpolation="bilinear", resize_mode="shortest")))
    out = {
        "native": np.stack([encode_image(w, pixels[:64, :64]), encode_image(w, pixels[32:, 32:])]),
        "larger": encode_image(w, pixels)[None],
        "oblong": encode_image(w, pixels[:32])[None],
    }
    for name, value in out.items():
        np.save(f"{OUT}/b_{name}.npy", value.astype(np.float32))


if __name__ == "__main__":
    main()
