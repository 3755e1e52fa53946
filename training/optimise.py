"""What turns gradients into steps: AdamW's two groups, Muon, the learning rate, the average."""

import copy
import math
import re

import torch
import torch.distributed as dist

UNDECAYED = re.compile(r"bn|ln|bias|logit_scale|layer_?norm|layrnorm")


def decays(name, parameter):
    """Weight decay is for matrices only: open_clip's rule, with Hugging Face's names of norms."""
    return parameter.ndim >= 2 and not UNDECAYED.search(name)


def adamw(named, rate, decay, betas=(0.9, 0.98), eps=1e-6):
    named = [(n, p) for n, p in named if p.requires_grad]
    return torch.optim.AdamW(
        [{"params": [p for n, p in named if decays(n, p)], "weight_decay": decay},
         {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0}],
        lr=rate, betas=betas, eps=eps)


class Muon(torch.optim.Optimizer):
    """Momentum whose matrix is made orthogonal before it is added (K. Jordan, 2024).

    For the square-ish matrices inside of the layers, trained from nothing: a step costs one to two
    tenths of the products of a small batch and is worth far more than that of AdamW."""

    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.05):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @staticmethod
    def orthogonal(matrices):
        """Newton-Schulz: five steps bring the singular values of each matrix near to 1."""
        x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
        for _ in range(5):
            a = x @ x.transpose(1, 2)
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return x

    def shared(self, matrices):
        """Each process turns its part of them and tells the others."""
        count = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        if count == 1 or len(matrices) % count:
            return self.orthogonal(matrices)
        own = self.orthogonal(matrices[dist.get_rank()::count].contiguous())
        all_parts = [torch.empty_like(own) for _ in range(count)]
        dist.all_gather(all_parts, own)
        return torch.stack(all_parts, 1).flatten(0, 1)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            alike = {}  # matrices of one shape are stacked, lying on their long side
            for p in group["params"]:
                if p.grad is not None:
                    alike.setdefault(tuple(sorted(p.shape)), []).append(p)
            for parameters in alike.values():
                self.step_alike(parameters, group)

    def step_alike(self, parameters, group):
        updates = []
        for p in parameters:
            momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
            momentum.lerp_(p.grad, 1 - group["momentum"])
            update = p.grad.lerp(momentum, group["momentum"])
            updates.append(update if p.shape[0] <= p.shape[1] else update.T)
        for p, update in zip(parameters, self.shared(torch.stack(updates))):
            rows, columns = p.shape
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.add_(update if rows <= columns else update.T,
                   alpha=-group["lr"] * max(1, rows / columns) ** 0.5)


def rate_at(step, progress, warmup, shape="cosine", hold=0.25):
    """The share of the full learning rate. progress: 0 at the start, 1 at the end.

    linear: full until `hold`, then straight down."""
    rising = min(1.0, (step + 1) / max(1, warmup))
    if shape == "cosine":
        return rising * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return rising * min(1.0, max(0.0, 1 - progress) / (1 - hold))


class Average:
    """The exponential moving average of a model's weights, which is what is exported."""

    def __init__(self, model, decay):
        self.model, self.decay = copy.deepcopy(model).requires_grad_(False), decay

    @torch.no_grad()
    def update(self, model, step):
        decay = min(self.decay, 1 - 1 / (step / 4 + 2))  # short at first, while weights move fast
        for own, new in zip(self.model.parameters(), model.parameters(), strict=True):
            own.lerp_(new.detach(), 1 - decay)
