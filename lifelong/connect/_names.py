"""Memories by name."""

from collections.abc import Callable
from typing import Any

from lifelong import memory as m
from lifelong.errors import BadInput, UnknownName
from lifelong.memory import Memory

MEMORIES: dict[str, tuple[Callable[[], Memory], str]] = {
    "none": (m.Nothing, "keeps nothing: plain fine-tuning"),
    "replay": (lambda: m.Replay(500, 32), "rehearses 500 rows, a uniform sample of all met"),
    "balanced-replay": (lambda: m.Replay(500, 32, policy="balanced"), "rehearses 500 rows, rare classes as often"),
    "der": (lambda: m.Replay(500, 32, labels=0.0, logits=1.0), "rehearses what was answered to 500 rows"),
    "der++": (lambda: m.Replay(500, 32, labels=0.5, logits=1.0), "rehearses labels of 500 rows and answers to them"),
    "a-gem": (lambda: m.AGEM(500, 128, source="stream"), "never steps against the gradient of 500 rows"),
    "gem": (m.GEM, "never steps against the gradient of one of the last 5 tasks"),
    "l2": (m.L2, "holds all weights alike"),
    "ewc": (m.EWC, "holds weights by their Fisher information, all tasks alike"),
    "online-ewc": (m.OnlineEWC, "holds weights by their Fisher information"),
    "si": (m.SI, "holds weights by what their moves did for the loss"),
    "mas": (m.MAS, "holds weights by how much the outputs depend on them"),
    "rwalk": (m.RWalk, "holds weights by Fisher information and path"),
    "lwf": (m.LwF, "keeps answering as at the end of the last task"),
    "icarl": (lambda: m.ICaRL(500), "answers by the means of 500 well-chosen rows"),
    "nearest-mean": (lambda: m.NearestMean(500), "answers by class means of 500 rows"),
    "gdumb": (lambda: m.GDumb(500), "learns 500 rows from scratch at the end of each task"),
}
"""Name → what makes the memory, and what it does in a few words. Their numbers are each memory's own defaults, but that
every buffer holds 500 rows; DER++ has α = 1 and β = 0.5, as its authors' code has for 500 examples of sequential MNIST
(Buzzega et al. 2020), and DER the same α."""


def memory_named(memory: Any) -> Memory:
    """Return a memory by its name, or one given as an object; raise `UnknownName` or `BadInput` for anything else."""
    if isinstance(memory, Memory):
        return memory
    if not isinstance(memory, str):
        raise BadInput(f"the memory is a name such as 'replay' or a Memory, not {memory!r}")
    if memory not in MEMORIES:
        raise UnknownName("memory", memory, MEMORIES)
    return MEMORIES[memory][0]()


def memories() -> dict[str, str]:
    """Return the names of memories, each with what it does."""
    return {name: words for name, (_, words) in MEMORIES.items()}
