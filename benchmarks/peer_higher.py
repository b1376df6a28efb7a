"""The meta-learner of `meta.py` with higher; runs in the environment of install_peers.sh.

    .peers/higher/bin/python benchmarks/peer_higher.py '{"tasks": 16, …}' STEPS SEED THREADS

The protocol is that of learn2learn's `examples/maml_sine.py`. Prints one line of JSON: steps of the outer optimizer a
second, and the mean squared error on the questions of a thousand fresh waves, after the inner steps.
"""

import json
import sys
import time
from importlib.metadata import version

import higher
import torch
from torch import nn

WARM_UP, EXAM = 5, 1000


def main(settings: str, steps: str, seed: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.manual_seed(int(seed))
    life, count = json.loads(settings), int(steps)
    width = life["width"]
    net = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
    outer = torch.optim.Adam(net.parameters(), lr=life["outer_rate"])

    def advance(some: int) -> None:
        for _ in range(some):
            outer.zero_grad()
            for _ in range(life["tasks"]):
                (solved(net, life, learning=True) / life["tasks"]).backward()
            outer.step()

    advance(WARM_UP)
    start = time.perf_counter()
    advance(count - WARM_UP)
    seconds = time.perf_counter() - start
    report = {
        "rate": (count - WARM_UP) / seconds,
        "seconds": seconds,
        "error": sum(float(solved(net, life, learning=False).detach()) for _ in range(EXAM)) / EXAM,
        "versions": {name: version(name) for name in ("torch", "higher")},
    }
    print(json.dumps(report))


def solved(net: nn.Module, life: dict, learning: bool) -> torch.Tensor:
    """Return the loss on the questions of a fresh wave after the inner steps, with second derivatives where learning."""
    shots = life["shots"]
    amplitude, phase = 0.1 + 4.9 * torch.rand(()), torch.pi * torch.rand(())
    x = 10 * torch.rand(2 * shots, 1) - 5
    y = amplitude * torch.sin(x - phase)
    inner = torch.optim.SGD(net.parameters(), lr=life["inner_rate"])
    with higher.innerloop_ctx(net, inner, copy_initial_weights=False, track_higher_grads=learning) as (
        student,
        descent,
    ):
        for _ in range(life["inner_steps"]):
            descent.step(nn.functional.mse_loss(student(x[:shots]), y[:shots]))
        return nn.functional.mse_loss(student(x[shots:]), y[shots:])


if __name__ == "__main__":
    main(*sys.argv[1:])
