"""Trains a CLIP: models/starter from nothing, or any Hugging Face directory on pictures of your own.

    python3 -m training.train --recipe starter --data ../shared/training --out models/starter
    python3 -m training.train --model DIRECTORY --data pairs.csv --tune last:2 --out DIRECTORY

Stopped and called again with the same --work it goes on where it was. Several processes (GPUs, or
cores) work on one model through torch's own launcher: `torchrun --nproc_per_node 2 -m training.train`.
"""

import argparse
import json
import os
import random
import signal
import time

import torch
import torch.distributed as dist
from torch import nn

from . import checkpoint, curves, losses, measure, optimise, recipes


def identity(args):
    """What a state is of. Of one run's calls --steps and --minutes may differ, and rates, but not this."""
    return {"model": args.model and checkpoint.digest(args.model), "data": os.path.realpath(args.data),
            "recipe": args.recipe, "tune": args.tune, "loss": args.loss, "optimizer": args.optimizer}


def arguments():
    parser = argparse.ArgumentParser(prog="training.train", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--recipe", choices=["starter"], help="train from nothing")
    add("--model", help="a Hugging Face directory to fine-tune")
    add("--data", required=True, help="../shared/training, or pairs: .tar, .csv, .tsv, directory")
    add("--out", help="the directory to write; none: training only")
    add("--work", default="build/training", help="state, decoded pictures and curves (%(default)s)")
    add("--tune", default="all", help="all, text (the image tower is locked), or last:N layers")
    add("--minutes", type=float, help="stop after so long; the schedule fits itself to it")
    add("--steps", type=int, help="stop after so many steps")
    add("--batch", help="pictures of a step and process; starter: CIFAR,Tiny,emoji,Flickr")
    add("--phases", help="START:SIDE:KEEP,...: from which part of the run on pictures have which "
                         "side, and which share of their patches is seen")
    add("--optimizer", choices=["adamw", "muon"], help="muon: for the matrices of the layers")
    add("--loss", choices=["softmax", "sigmoid"], default="softmax")
    add("--rate", type=float, help="learning rate of AdamW")
    add("--muon-rate", type=float, default=0.02)
    add("--decay", type=float, help="weight decay of AdamW")
    add("--warmup", type=int, help="steps")
    add("--schedule", choices=["cosine", "linear"], help="of the learning rate, after the warm-up")
    add("--average", type=float, help="decay of the moving average of weights")
    add("--smoothing", type=float, default=0.05, help="of labels")
    add("--precision", choices=["fp32", "bf16"], default="fp32", help="bf16: products only")
    add("--measure-minutes", type=float, default=8, help="between two looks at what is held out")
    add("--threads", type=int, default=1, help="of each process")
    add("--seed", type=int, default=0)
    args = parser.parse_args()
    if bool(args.recipe) == bool(args.model):
        parser.error("one of --recipe and --model")
    if bool(args.minutes) == bool(args.steps):
        parser.error("one of --minutes and --steps")
    for name, value in recipes.DEFAULTS["starter" if args.recipe else "tune"].items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.batch = [int(n) for n in str(args.batch).split(",")]
    return args


class Processes:
    """This process among those that train together; one alone needs no launcher."""

    def __init__(self):
        self.rank, self.count = (int(os.environ.get(k, d)) for k, d in (("RANK", 0), ("WORLD_SIZE", 1)))
        gpu = torch.cuda.is_available()
        self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if gpu else torch.device("cpu")
        if gpu:
            torch.cuda.set_device(self.device)
        if self.count > 1:
            dist.init_process_group("nccl" if gpu else "gloo")

    def say(self, *words):
        if self.rank == 0:
            print(*words, flush=True)

    def agree(self, value):
        """The first process's number, for all: clocks differ."""
        if self.count == 1:
            return value
        value = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(value, 0)
        return value.item()

    def wait(self):
        if self.count > 1:
            dist.barrier()

    def gather(self, features):
        """The rows of all processes, through which gradients flow back."""
        if self.count == 1:
            return features
        from torch.distributed.nn.functional import all_gather
        return torch.cat(all_gather(features))


class Trainer:
    def __init__(self, args, processes):
        self.args, self.processes, self.device = args, processes, processes.device
        run = recipes.open_run(args, processes)
        self.run, self.tokenizer = run, run.tokenizer
        self.model = run.model.to(self.device)
        self.bias = nn.Parameter(torch.tensor(-10.0, device=self.device))
        self.average = optimise.Average(self.model, args.average)
        self.optimizers = self.make_optimizers()
        self.step, self.images, self.stopped = 0, 0, False
        self.before, self.history, self.measured = 0.0, [], []
        self.identity, self.state_path = identity(args), os.path.join(args.work, "state.pt")
        if os.path.exists(self.state_path):
            self.load_state()
        seed = args.seed + 1000 * self.step  # no run sees the same batches again
        random.seed(seed + processes.rank)
        torch.manual_seed(seed + processes.rank)
        for part in run.pairs:
            part.share(processes.rank, processes.count, seed)
        self.start = time.monotonic()
        self.parallel = self.model
        if processes.count > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            self.parallel = nn.parallel.DistributedDataParallel(self.model, device_ids=ids)

    def make_optimizers(self):
        named = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        matrices = [p for n, p in named if self.args.optimizer == "muon"
                    and p.ndim == 2 and ".encoder." in n]
        taken = {id(p) for p in matrices}
        rest = [(n, p) for n, p in named if id(p) not in taken]
        if self.args.loss == "sigmoid":
            rest.append(("logit_bias", self.bias))
        made = [optimise.adamw(rest, self.args.rate, self.args.decay)]
        if matrices:
            made.append(optimise.Muon(matrices, self.args.muon_rate))
        for optimizer in made:
            for group in optimizer.param_groups:
                group["full"] = group["lr"]
        return made

    def elapsed(self):
        return self.before + time.monotonic() - self.start

    def save_state(self):
        if self.processes.rank == 0:
            torch.save({"model": self.model.state_dict(), "average": self.average.model.state_dict(),
                        "bias": self.bias.data, "optimizers": [o.state_dict() for o in self.optimizers],
                        "step": self.step, "images": self.images, "elapsed": self.elapsed(),
                        "history": self.history, "measured": self.measured,
                        "identity": self.identity}, self.state_path + ".part")
            os.replace(self.state_path + ".part", self.state_path)

    def load_state(self):
        safe = not torch.__version__.startswith("1.")  # whose safe loader knows no numbers
        state = torch.load(self.state_path, map_location=self.device, weights_only=safe)
        for name, kept in state.get("identity", {}).items():  # states of old do not say
            if kept != self.identity[name]:
                raise SystemExit(f"{self.state_path} is of another run: {name} {kept}, expected "
                                 f"{self.identity[name]}; give this one a --work of its own")
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.bias.data.copy_(state["bias"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            rates = [g["full"] for g in optimizer.param_groups]
            optimizer.load_state_dict(kept)
            for group, rate in zip(optimizer.param_groups, rates):
                group["full"] = rate
        self.step, self.images, self.before = state["step"], state["images"], state["elapsed"]
        self.history, self.measured = state["history"], state["measured"]
        self.processes.say(f"goes on at step {self.step}, minute {self.before / 60:.1f}")

    def progress(self):
        if self.args.steps:
            return self.step / self.args.steps
        return self.processes.agree(self.elapsed() / 60 / self.args.minutes)

    def loss_of(self, side, keep):
        """One batch's loss, and the share of labelled pictures that got their own label."""
        run, args = self.run, self.args
        labelled = [part.draw(side) for part in run.labelled]
        pairs = [part.draw(side) for part in run.pairs]
        own = [pixels for pixels, _ in pairs]
        if labelled:
            seen, labels = (torch.cat(some) for some in zip(*labelled))
            own.insert(0, run.disguise(seen, labels) if run.disguise else seen)
        pixels = torch.cat(own).to(self.device)
        texts = ([run.classes.texts()] if labelled else []) + [own for _, own in pairs]
        rows = [[t.to(self.device) for t in self.tokenizer.rows(some)] for some in texts]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            images, texts, scale = self.parallel(pixels, rows, keep)
        images, texts, scale = images.float(), texts.float(), scale.float().exp()
        loss, right = 0.0, None
        if labelled:
            labels = labels.to(self.device)
            count = len(run.classes.names)
            classes, texts = texts[:count], texts[count:]
            loss = losses.label_loss(images[:len(labels)], classes, labels, scale,
                                     run.classes.ignore.to(self.device), args.smoothing)
            right = (images[:len(labels)] @ classes.T).argmax(1).eq(labels).float().mean().item()
            images = images[len(labels):]
        for part, (_, own) in zip(run.pairs, pairs):
            x, y = (self.processes.gather(f[:len(own)]) for f in (images, texts))
            images, texts = images[len(own):], texts[len(own):]
            loss = loss + part.weight * (losses.softmax_loss(x, y, scale) if args.loss == "softmax"
                                         else losses.sigmoid_loss(x, y, scale, self.bias))
        return loss, right, len(pixels) * self.processes.count

    def train_step(self, progress):
        args = self.args
        side, keep = [(int(s), k) for start, s, k in self.run.phases if progress >= start][-1]
        share = optimise.rate_at(self.step, progress, args.warmup, args.schedule)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["full"] * share
        loss, right, count = self.loss_of(side, keep)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.processes.count > 1 and self.bias.grad is not None:
            dist.all_reduce(self.bias.grad, dist.ReduceOp.SUM)
            self.bias.grad /= self.processes.count
        nn.utils.clip_grad_norm_([p for g in self.optimizers[0].param_groups for p in g["params"]], 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        losses.clamp_scale(self.model.logit_scale)
        self.average.update(self.model, self.step)
        self.step += 1
        self.images += count
        return loss.item(), right, side, keep

    def stop(self, number, frame):
        self.stopped = True

    def look(self):
        """Measures the average on what is held out, keeps the state, draws the curves."""
        self.save_state()
        if self.processes.rank == 0:
            found = self.run.measure(self.average.model)
            self.measured.append([self.images, found])
            self.processes.say(f"{self.elapsed() / 60:6.1f} min  held out: "
                               + ("  ".join(f"{k} {v:.3f}" for k, v in found.items()) or "nothing"))
            lines = {k: [(n, m[k]) for n, m in self.measured if k in m] for k in found}
            curves.draw_curves(os.path.join(self.args.work, "curves.png"),
                               {"": [(n, v) for n, v in self.history]}, lines)
        self.processes.wait()

    def train(self):
        told = looked = time.monotonic()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        smooth, images, begun = None, self.images, self.step
        while (progress := self.progress()) < 1 and not self.processes.agree(float(self.stopped)):
            loss, right, side, keep = self.train_step(progress)
            smooth = loss if smooth is None else 0.97 * smooth + 0.03 * loss
            now = time.monotonic()
            if now - told > 30:
                left = self.elapsed() * (1 - progress) / max(progress, 1e-9)
                self.history.append([self.images, smooth])
                self.processes.say(
                    f"{self.elapsed() / 60:6.1f} min  step {self.step}  {self.images:,} images  "
                    f"{(self.images - images) / (now - told):.0f} images/s  {left / 60:.1f} min left  "
                    f"side {side}  keep {keep:g}  loss {smooth:.3f}"
                    + ("" if right is None else f"  right {right:.2f}"))
                told, images = now, self.images
            if self.processes.agree(float(now - looked > 60 * self.args.measure_minutes)):
                self.look()
                looked = told = time.monotonic()
                images = self.images
        if self.stopped:
            self.save_state()
            raise SystemExit("stopped; the same call goes on from here")
        if self.step == begun:
            self.processes.say(f"already finished: no step is left after step {begun}")
        else:
            self.look()


def main():
    args = arguments()
    if args.out:
        checkpoint.check_out(args.out, args.model)
    torch.set_num_threads(args.threads)
    processes = Processes()
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    trainer = Trainer(args, processes)
    trainer.train()
    if args.out and processes.rank == 0:
        run = trainer.run
        checkpoint.save(args.out, trainer.average.model, run.tokenizer, run.preprocessor, args.model)
        with open(os.path.join(args.work, "measured.json"), "w", encoding="utf-8") as file:
            json.dump(trainer.measured, file)
        print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
