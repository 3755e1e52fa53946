"""The objectives and the optimizer against ../shared/goldens/misc and against themselves."""

import json
import os
import unittest

import torch_tests
from torch_tests import GOLDENS, missing

if not missing():
    import numpy as np
    import torch
    from torch.nn import functional as F

    from training import checkpoint, losses, optimise


def misc(name):
    return checkpoint.read_safetensors(os.path.join(GOLDENS, "misc", name))


class Losses(unittest.TestCase):
    def test_golden_losses_and_gradients(self):
        if not os.path.isdir(GOLDENS):
            print("skipped: no ../shared")
            return
        golden = misc("losses.safetensors")
        for kind in ("clip", "siglip"):
            raw = [golden[k].clone().requires_grad_() for k in ("image_raw", "text_raw")]
            images, texts = (F.normalize(x, dim=1) for x in raw)
            if kind == "clip":
                more = [torch.tensor(np.log(1 / 0.07), dtype=torch.float32).requires_grad_()]
                loss = losses.softmax_loss(images, texts, more[0].exp())
            else:
                more = [torch.tensor(np.log(10), dtype=torch.float32).requires_grad_(),
                        torch.tensor(-10.0).requires_grad_()]
                loss = losses.sigmoid_loss(images, texts, more[0].exp(), more[1])
            loss.backward()
            names = ["grad_image_raw", "grad_text_raw", "grad_logit_scale", "grad_logit_bias"]
            for name, parameter in zip(names, raw + more):
                torch.testing.assert_close(parameter.grad, golden[f"{kind}_{name}"], rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(loss.detach(), golden[f"{kind}_loss"], rtol=1e-5, atol=1e-6)

    def test_labels(self):
        generator = torch.Generator().manual_seed(0)
        images, classes = (F.normalize(torch.randn(n, 8, generator=generator), dim=1) for n in (5, 4))
        labels, nothing = torch.tensor([0, 1, 1, 3, 0]), torch.zeros(4, 4, dtype=torch.bool)
        logits = 7 * images @ classes.T
        torch.testing.assert_close(losses.label_loss(images, classes, labels, 7.0, nothing),
                                   F.cross_entropy(logits, labels))
        torch.testing.assert_close(losses.label_loss(images, classes, labels, 7.0, nothing, 0.1),
                                   F.cross_entropy(logits, labels, label_smoothing=0.1))
        # What is ignored neither attracts nor repels.
        ignore = nothing.clone()
        ignore[1, 2] = True
        free = classes.clone().requires_grad_()
        losses.label_loss(images[1:3], free, labels[1:3], 7.0, ignore, 0.1).backward()
        self.assertEqual(free.grad[2].abs().max().item(), 0)
        self.assertGreater(free.grad[0].abs().max().item(), 0)

    def test_clamp(self):
        for value, clamped in ((5.0, losses.SCALE_MAX), (-1.0, 0.0), (3.0, 3.0)):
            scale = torch.tensor(value)
            losses.clamp_scale(scale)
            self.assertAlmostEqual(scale.item(), clamped, places=6)


# The golden gradients have OpenAI's names.
RENAMED = {"logit_scale": "logit_scale", "visual.class_embedding": "vision_model.embeddings.class_embedding",
           "visual.ln_post.weight": "vision_model.post_layernorm.weight",
           "ln_final.bias": "text_model.final_layer_norm.bias",
           "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
           "positional_embedding": "text_model.embeddings.position_embedding.weight",
           "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
           "visual.transformer.resblocks.0.mlp.c_fc.weight": "vision_model.encoder.layers.0.mlp.fc1.weight",
           "visual.transformer.resblocks.1.mlp.c_proj.bias": "vision_model.encoder.layers.1.mlp.fc2.bias",
           "transformer.resblocks.1.attn.out_proj.weight":
               "text_model.encoder.layers.1.self_attn.out_proj.weight"}
TRANSPOSED = {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}


class Steps(unittest.TestCase):
    """Five steps of AdamW on tiny_vit, whose losses and weights were computed elsewhere."""

    def test_five_steps(self):
        if not os.path.isdir(GOLDENS):
            print("skipped: no ../shared")
            return
        tiny = os.path.join(GOLDENS, "models/tiny_vit")
        with open(os.path.join(GOLDENS, "misc/train.json"), encoding="utf-8") as file:
            expected = json.load(file)
        model = checkpoint.load_model(os.path.join(tiny, "hf"))
        pixels = torch.from_numpy(np.load(os.path.join(tiny, "inputs/pixel_values.npy")))
        ids = torch.from_numpy(np.load(os.path.join(tiny, "inputs/token_ids.npy"))).long()
        ids = ids[expected["token_rows"]]
        optimizer = optimise.adamw(list(model.named_parameters()), 1e-3, 0.2)
        gradients, after = misc("tiny_vit_grads_step0.safetensors"), misc("tiny_vit_after5_adamw.safetensors")
        for step in expected["history"]:
            images, texts, scale = model(pixels, [(ids, ids.argmax(1))])
            loss = losses.softmax_loss(images, texts, scale.exp())
            optimizer.zero_grad()
            loss.backward()
            self.assertAlmostEqual(loss.item(), step["loss"], delta=2e-4)
            if step["step"] == 0:
                self.compare({n: p.grad for n, p in model.named_parameters()}, gradients, 2e-3)
                norm = sum(p.grad.square().sum() for p in model.parameters()).sqrt().item()
                self.assertAlmostEqual(norm, expected["grad_norm_step0"], delta=1e-2)
            optimizer.step()
            losses.clamp_scale(model.logit_scale)
            self.assertAlmostEqual(model.logit_scale.item(), step["logit_scale_after"], delta=1e-4)
        self.compare(dict(model.named_parameters()), after, 2e-3)

    def compare(self, found, golden, tolerance):
        compared = 0
        for names, turned in ((RENAMED, False), (TRANSPOSED, True)):
            for theirs, ours in names.items():
                if theirs in golden:
                    own = found[ours].detach().T if turned else found[ours].detach()
                    worst = (own - golden[theirs]).abs().max().item()
                    self.assertLessEqual(worst, tolerance * max(1, golden[theirs].abs().max().item()),
                                         theirs)
                    compared += 1
        self.assertGreaterEqual(compared, 6)

    def test_groups(self):
        model = checkpoint.load(torch_tests.STARTER)[0]
        bare = {n for n, p in model.named_parameters() if not optimise.decays(n, p)}
        self.assertIn("logit_scale", bare)
        self.assertIn("vision_model.pre_layrnorm.weight", bare)
        self.assertIn("text_model.encoder.layers.0.mlp.fc1.bias", bare)
        self.assertNotIn("text_model.encoder.layers.0.mlp.fc1.weight", bare)
        self.assertNotIn("text_model.embeddings.token_embedding.weight", bare)

    def test_rates(self):
        self.assertEqual(optimise.rate_at(4, 0.0, 10), 0.5)
        self.assertAlmostEqual(optimise.rate_at(99, 0.5, 10), 0.5)
        self.assertAlmostEqual(optimise.rate_at(99, 1.0, 10), 0.0)
        self.assertEqual(optimise.rate_at(99, 0.2, 10, "linear"), 1.0)
        self.assertAlmostEqual(optimise.rate_at(99, 0.625, 10, "linear"), 0.5)

    def test_muon(self):
        torch.manual_seed(0)
        for shape in ((16, 16), (64, 16), (16, 64)):
            matrix = torch.nn.Parameter(torch.randn(shape))
            before, matrix.grad = matrix.detach().clone(), torch.randn(shape)
            optimise.Muon([matrix], 0.1, weight_decay=0.0).step()
            step = torch.linalg.svdvals(before - matrix.detach()) / 0.1
            self.assertLess(step.max().item(), 1.3 * max(1, shape[0] / shape[1]) ** 0.5)
            self.assertGreater(step.min().item(), 0.3)


if __name__ == "__main__":
    torch_tests.main()
