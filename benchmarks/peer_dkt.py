"""Time epochs of a plain DKT in PyTorch: python benchmarks/peer_dkt.py LOG.npz SETTINGS THREADS. Prints one line of JSON.

An embedding of (skill, outcome), `nn.LSTM`, a linear layer over skills of which the next one's logit is taken, binary
cross-entropy, Adam. One fold is timed; several after each other take as many times as long.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn


class DKT(nn.Module):
    """The model."""

    def __init__(self, skills: int, width: int):
        super().__init__()
        self.skills = skills
        self.embedding = nn.Embedding(2 * skills, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.readout = nn.Linear(width, skills)

    def forward(self, skill: torch.Tensor, outcome: torch.Tensor) -> torch.Tensor:
        """Return the logit of every answer but the first."""
        states, _ = self.lstm(self.embedding(skill[:, :-1] + self.skills * outcome[:, :-1]))
        return self.readout(states).gather(2, skill[:, 1:, None])[..., 0]


def main(path: str, settings: dict, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    with np.load(path) as file:
        skill, outcome, there, student = padded(file["student"], file["skill"], file["outcome"], settings["longest"])
    fold = student % settings["folds"]
    random = np.random.default_rng(0)
    learners = random.permutation(np.unique(student[fold != 0]))
    kept = np.isin(student, learners[: len(learners) // 10])
    learned = np.flatnonzero((fold != 0) & ~kept)
    parts = [torch.from_numpy(part) for part in (skill, outcome, there)]
    model = DKT(int(skill.max()) + 1, settings["width"])
    adam = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    seconds = []
    for _ in range(1 + settings["epochs"]):
        start = time.perf_counter()
        epoch(model, adam, parts, random.permutation(learned), settings["batch"])
        with torch.no_grad():
            losses(model, parts, np.flatnonzero(kept))
        seconds.append(time.perf_counter() - start)
    held = np.flatnonzero(fold == 0)
    with torch.no_grad():
        score = auc(model(*(part[held] for part in parts[:2])), parts[1][held][:, 1:], parts[2][held][:, 1:])
    report = {"epoch": float(np.median(seconds[1:])), "threads": threads, "auc": score, "torch": torch.__version__}
    print(json.dumps(report))


def epoch(model: DKT, adam: torch.optim.Optimizer, parts: list, order: np.ndarray, batch: int) -> None:
    for start in range(0, len(order), batch):
        adam.zero_grad()
        losses(model, parts, order[start : start + batch]).backward()
        adam.step()


def losses(model: DKT, parts: list, index: np.ndarray) -> torch.Tensor:
    skill, outcome, there = (part[index] for part in parts)
    loss = nn.functional.binary_cross_entropy_with_logits(
        model(skill, outcome), outcome[:, 1:].float(), reduction="none"
    )
    return (loss * there[:, 1:]).sum() / there[:, 1:].sum()


def padded(student: np.ndarray, skill: np.ndarray, outcome: np.ndarray, longest: int) -> tuple[np.ndarray, ...]:
    """Return [pieces, length] arrays of histories cut into pieces, and the student of each."""
    order = np.argsort(student, kind="stable")
    names, starts = np.unique(student[order], return_index=True)
    found = []
    for s, rows in zip(names, np.split(order, starts[1:]), strict=True):
        found += [(s, rows[start : start + longest]) for start in range(0, len(rows), longest)]
    length = max(len(rows) for _, rows in found)
    out = np.zeros((3, len(found), length), np.int64)
    for i, (_, rows) in enumerate(found):
        out[:, i, : len(rows)] = skill[rows], outcome[rows], np.ones(len(rows))
    return out[0], out[1], out[2], np.array([s for s, _ in found])


def auc(logits: torch.Tensor, outcome: torch.Tensor, there: torch.Tensor) -> float:
    p, y = logits[there > 0].numpy(), outcome[there > 0].numpy()
    rank = np.empty(len(p))
    rank[np.argsort(p)] = np.arange(1, len(p) + 1)
    right = y.sum()
    return float((rank[y == 1].sum() - right * (right + 1) / 2) / (right * (len(y) - right)))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
