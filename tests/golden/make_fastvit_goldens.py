#!/usr/bin/env python3
"""Makes tests/golden/fastvit/: tiny MobileCLIPs with a FastViT image tower, of random weights in
OpenCLIP's names, and what timm's own module answers with them in float64: four stages with a
BatchNorm before attention and gates (as in S0 to S2), five with LayerNorms (S3 and S4), and the
former with its branches made one by timm. The pictures are those of the ResNets. Needs NumPy,
torch and timm (1.0.31 made these).

    python3 tests/golden/make_fastvit_goldens.py
"""
import copy
import os
from functools import partial

import numpy as np
import torch
from timm.layers import LayerNorm2d
from timm.models.fastvit import FastVit, RepConditionalPosEnc
from timm.utils import reparameterize_model

import make_family_goldens as families
import make_resnet_goldens as resnet

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fastvit")
EMBED, NATIVE = 12, 64
TRUNK = "visual.trunk."
POSITIONS = partial(RepConditionalPosEnc, spatial_shape=(7, 7))


def make_trunk(stages):
    if stages == 4:
        more = dict(layers=(1, 2, 1, 2), embed_dims=(4, 8, 16, 32), mlp_ratios=(3,) * 4,
                    token_mixers=("repmixer",) * 3 + ("attention",), pos_embs=(None,) * 3 + (POSITIONS,),
                    se_downsamples=(False, False, True, True))
    else:
        more = dict(layers=(1, 1, 1, 1, 1), embed_dims=(4, 8, 16, 32, 64), mlp_ratios=(2,) * 5,
                    downsamples=(False, True, True, True, True), se_downsamples=(False,) * 5,
                    token_mixers=("repmixer",) * 3 + ("attention",) * 2,
                    pos_embs=(None,) * 3 + (POSITIONS,) * 2,
                    norm_layer=partial(LayerNorm2d, eps=1e-5), stem_use_scale_branch=False)
    return FastVit(num_classes=EMBED, lkc_use_act=True, **more).double().eval()


def fill(maker, trunk):
    """Random weights of every kind, under the names that the trunk has."""
    for name, value in trunk.state_dict().items():
        shape, whole = tuple(value.shape), TRUNK + name
        if name.endswith("num_batches_tracked"):
            maker.tensors[whole] = np.array(7, np.int64)
        elif name.endswith("running_var"):
            maker.add(whole, *shape, scale=0.1, around=1.0)
        elif name.endswith("gamma"):
            maker.add(whole, *shape, scale=0.2, around=0.5)
        elif len(shape) == 1:
            maker.add(whole, *shape, scale=0.2, around=1.0 if name.endswith("weight") else 0.0)
        else:
            maker.add(whole, *shape, scale=0.9 / np.sqrt(np.prod(shape[1:])))


def encode(trunk, images):
    x = torch.from_numpy(np.stack(images).astype(np.float64) / 255).permute(0, 3, 1, 2)
    with torch.no_grad():
        return trunk(x).numpy()


def main():
    pixels = np.load(f"{resnet.OUT}/pixels.npy")
    families.OUT = OUT
    for seed, kind, stages in ((81, "gated", 4), (82, "deep", 5), (81, "merged", 4)):
        maker, trunk = families.Maker(seed), make_trunk(stages)
        fill(maker, trunk)
        trunk.load_state_dict({n[len(TRUNK):]: torch.from_numpy(v) for n, v in maker.tensors.items()})
        if kind == "merged":
            trunk = reparameterize_model(copy.deepcopy(trunk)).double()
            maker = families.Maker(seed)
            for name, value in trunk.state_dict().items():
                maker.tensors[TRUNK + name] = value.float().half().float().numpy()
            trunk.load_state_dict({n[len(TRUNK):]: torch.from_numpy(v) for n, v in maker.tensors.items()})
        maker.tensors["logit_scale"] = np.float32(2.5)
        text = families.make_text(maker, "text.", 16, 2, EMBED)
        maker.save(kind)
        families.write_json(f"{kind}/open_clip_config.json", dict(
            model_cfg=dict(
                embed_dim=EMBED, custom_text=True,
                vision_cfg=dict(timm_model_name="fastvit_mci3" if stages == 5 else "fastvit_mci0",
                                timm_model_pretrained=False, timm_pool="avg", timm_proj=None, timm_drop=0.0,
                                timm_drop_path=0.0, image_size=NATIVE),
                text_cfg=families.text_config(no_causal_mask=True, **text)),
            preprocess_cfg=dict(mean=[0, 0, 0], std=[1, 1, 1], interpolation="bilinear", resize_mode="shortest")))
        out = {
            "native": encode(trunk, [pixels[:64, :64], pixels[32:, 32:]]),
            "larger": encode(trunk, [pixels]),
            "oblong": encode(trunk, [pixels[:32]]),
        }
        for name, value in out.items():
            np.save(f"{OUT}/{kind}_{name}.npy", value.astype(np.float32))


if __name__ == "__main__":
    main()
