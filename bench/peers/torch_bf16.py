"""PyTorch in bf16 and clipd in bf16, side by side; peers.js runs it.

    torch_bf16.py CLIPD SECONDS

The towers of ViT-B-32 in eager mode on random weights of PyTorch's own, so only speeds
compare. It says "skipped:" and why when there is no PyTorch, or the CPU has no bf16."""

import json
import os
import subprocess
import sys
import time

TOKENS, REPEATS = 77, 3


def make_tower(torch, width, layers, heads, causal_tokens):
    """A stack of pre-norm layers with QuickGELU, on [batch, tokens, width]."""
    nn = torch.nn

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.fc, self.proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x, mask):
            batch, tokens, _ = x.shape
            qkv = self.qkv(self.ln_1(x)).view(batch, tokens, 3, heads, width // heads)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            scores = q @ k.transpose(-1, -2) * (width // heads) ** -0.5
            if mask is not None:
                scores = scores + mask
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, width)
            x = x + self.out(mixed)
            hidden = self.fc(self.ln_2(x))
            return x + self.proj(hidden * torch.sigmoid(1.702 * hidden))

    class Tower(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(Layer() for _ in range(layers))
            mask = torch.full((causal_tokens, causal_tokens), -1e30).triu(1) if causal_tokens else None
            self.register_buffer("mask", mask)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x, self.mask)
            return x

    return Tower()


def make_model(torch, tower):
    nn = torch.nn
    if tower == "text":
        body = make_tower(torch, 512, 12, 8, TOKENS)
        return nn.Sequential(nn.Embedding(49408, 512), body, nn.LayerNorm(512), nn.Linear(512, 512, bias=False))
    patches = nn.Conv2d(3, 768, 32, 32, bias=False)

    class Image(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches, self.body = patches, make_tower(torch, 768, 12, 12, 0)
            self.first = nn.Parameter(torch.randn(1, 1, 768))
            self.ln_pre, self.ln_post = nn.LayerNorm(768), nn.LayerNorm(768)
            self.projection = nn.Linear(768, 512, bias=False)

        def forward(self, pixels):
            rows = self.patches(pixels).flatten(2).transpose(1, 2)
            x = torch.cat([self.first.expand(len(pixels), -1, -1), rows], 1)
            return self.projection(self.ln_post(self.body(self.ln_pre(x))[:, 0]))

    return Image()


def measure(torch, model, tower, batch, seconds):
    """Inputs a second of the best of REPEATS, as clipd bench counts."""
    if tower == "text":
        inputs = torch.randint(0, 49408, (batch, TOKENS))
    else:
        inputs = torch.randn(batch, 3, 224, 224).to(torch.bfloat16)
    best = 0
    with torch.inference_mode():
        model(inputs)
        for _ in range(REPEATS):
            count, elapsed, begin = 0, 0, time.perf_counter()
            while elapsed < seconds / REPEATS:
                model(inputs)
                count += batch
                elapsed = time.perf_counter() - begin
            best = max(best, count / elapsed)
    return best


def clipd(program, tower, threads, batch, seconds):
    out = subprocess.run(
        [program, "bench", "--json", "--tower", tower, "--precision", "bf16", "--tokens", str(TOKENS),
         "--threads", str(threads), "--batch", str(batch), "--seconds", str(seconds / REPEATS), "--repeats", str(REPEATS)],
        check=True, capture_output=True).stdout
    return json.loads(out.splitlines()[0])["items_per_second"]


def main():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        if "avx512_bf16" not in file.read():
            print("skipped: torch bf16: this CPU has no bf16")
            return
    try:
        import torch
    except ImportError:
        print("skipped: no torch")
        return
    program, seconds = sys.argv[1], float(sys.argv[2])
    cores = len(os.sched_getaffinity(0))
    print("tower prec  threads batch        torch     clipd   ratio")
    for tower in ("image", "text"):
        model = make_model(torch, tower).to(torch.bfloat16).eval()
        for threads in sorted({1, cores}):
            torch.set_num_threads(threads)
            for batch in (1, 8):
                theirs = max(measure(torch, model, tower, batch, seconds) for _ in range(3))
                ours = clipd(program, tower, threads, batch, seconds)
                print(f"{tower:6}bf16  {threads:7}{batch:6}{theirs:13.2f}{ours:10.2f}{ours / theirs:8.2f}")


if __name__ == "__main__":
    main()
