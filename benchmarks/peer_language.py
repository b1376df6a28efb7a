"""Time training and sampling of a small language model in plain, eager PyTorch.

    python benchmarks/peer_language.py SETTINGS THREADS

The model of lifelong.nets' presets, as one writes it in PyTorch: `nn.Linear`, `rms_norm`, `scaled_dot_product_attention`,
fused AdamW, clipped gradients; sampling with a cache of keys and values. Prints one line of JSON: tokens per second of one
model, and per second of a core, which other work on the machine hardly changes.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Layer(nn.Module):
    """Attention and a gated feed-forward network, each after a norm and added to what came in."""

    def __init__(self, width: int, heads: int, kv_heads: int, hidden: int):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, width // heads
        self.norms = nn.ParameterList([nn.Parameter(torch.ones(width)) for _ in range(2)])
        self.qkv = nn.Linear(width, (heads + 2 * kv_heads) * self.size, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, cache: list | None) -> torch.Tensor:
        """Return what the layer makes of x [n, t, width]; a cache takes up keys and values, and gives those before."""
        n, t, width = x.shape
        made = self.qkv(F.rms_norm(x, (width,), self.norms[0], 1e-6)).view(n, t, -1, self.size).transpose(1, 2)
        query, key, value = made.split([self.heads, self.kv_heads, self.kv_heads], 1)
        query, key = turned(query, cos, sin), turned(key, cos, sin)
        first = cache is None or not cache
        if cache is not None:
            key, value = (key, value) if first else (torch.cat([cache[0], key], 2), torch.cat([cache[1], value], 2))
            cache[:] = [key, value]
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=first and t > 1, enable_gqa=True)
        x = x + self.out(seen.transpose(1, 2).reshape(n, t, width))
        gate, up = self.gate_up(F.rms_norm(x, (width,), self.norms[1], 1e-6)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


def turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    one, other = x.chunk(2, -1)
    return torch.cat([one * cos - other * sin, other * cos + one * sin], -1)


class Model(nn.Module):
    """The language model, its head tied to its embedding."""

    def __init__(self, vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, hidden: int, longest: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.layers = nn.ModuleList([Layer(width, heads, kv_heads, hidden) for _ in range(layers)])
        self.norm = nn.Parameter(torch.ones(width))
        size = width // heads
        angle = torch.arange(longest)[:, None] * 10_000.0 ** (-2 * torch.arange(size // 2) / size)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, tokens: torch.Tensor, start: int = 0, caches: list | None = None) -> torch.Tensor:
        """Return the logits after each token."""
        x, end = self.embedding(tokens), start + tokens.shape[1]
        for i, layer in enumerate(self.layers):
            x = layer(x, self.cos[start:end], self.sin[start:end], None if caches is None else caches[i])
        return F.rms_norm(x, (x.shape[-1],), self.norm, 1e-6) @ self.embedding.weight.T


def train(model: Model, settings: dict) -> dict[str, float]:
    """Return the rate of training on batches of random tokens."""
    adam = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    batch = torch.randint(settings["vocabulary"], (settings["batch"], settings["length"]))

    def step() -> None:
        adam.zero_grad()
        F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()

    return rate(step, batch.numel(), settings["seconds"])


@torch.no_grad()
def sample(model: Model, settings: dict) -> dict[str, float]:
    """Return the rate of sampling."""
    prompts = torch.randint(settings["vocabulary"], (settings["batch"], settings["prompt"]))
    new = settings["new"]

    def rollout() -> torch.Tensor:
        caches, tokens, start, said = [[] for _ in model.layers], prompts, 0, []
        for _ in range(new):
            logits = model(tokens, start, caches)[:, -1]
            start += tokens.shape[1]
            tokens = torch.multinomial(logits.softmax(-1), 1)
            said.append((tokens, logits.log_softmax(-1).gather(1, tokens)))
        return said

    return rate(rollout, settings["batch"] * new, settings["seconds"])


def rate(work, tokens: int, seconds: float) -> dict[str, float]:
    """Return tokens per second, and per second of a core, of the fastest of several stretches of work."""
    for _ in range(3):
        work()
    best, until = {"wall": 0.0, "core": 0.0}, time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter(), time.process_time()
        for _ in range(10):
            work()
        end = time.perf_counter(), time.process_time()
        for name, first, last in zip(best, start, end, strict=True):
            best[name] = max(best[name], 10 * tokens / (last - first))
    return best


if __name__ == "__main__":
    settings, threads = json.loads(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = Model(
        settings["vocabulary"], **settings["model"], longest=settings["prompt"] + settings["new"] + settings["length"]
    )
    report = {
        "train": train(model, settings),
        "sample": sample(model, settings),
        "threads": threads,
        "torch": torch.__version__,
    }
    print(json.dumps(report))
