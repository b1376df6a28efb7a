"""What an estimator says of itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np

from lifelong.memory import Buffer

if TYPE_CHECKING:
    from ._lived import Lived, Update


@dataclass(frozen=True)
class Report:
    """What has been learned, what is kept, and how each of the last calls of learning went.

    `rows` are rows learned of every class, in all passes counted once; `kept` rows that the memory's buffers hold of it.
    An update's accuracy is that before each step on its rows: an honest look ahead.
    """

    memory: str
    rows: Mapping[Any, int]
    kept: Mapping[Any, int]
    outputs: int
    weights: int
    steps: int
    tasks: int
    forgotten: int
    updates: "tuple[Update, ...]"

    @classmethod
    def of(cls, lived: "Lived") -> "Report":
        """Return the report of an estimator's life."""
        labels = lived.labels.tolist()
        weights = jax.tree.leaves(eqx.filter(lived.state.model, eqx.is_inexact_array))
        memory = lived.plan.parameters["memory"]
        return cls(
            memory=memory if isinstance(memory, str) else type(memory).__name__,
            rows=dict(zip(labels, lived.rows.tolist(), strict=True)),
            kept=dict(zip(labels, rows_kept(lived).tolist(), strict=True)),
            outputs=lived.outputs,
            weights=sum(leaf.size for leaf in weights),
            steps=lived.steps,
            tasks=lived.tasks,
            forgotten=lived.forgotten,
            updates=lived.updates,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it in plain values."""
        return {**asdict(self), "updates": [update._asdict() for update in self.updates]}

    def _facts(self) -> dict[str, str]:
        last = self.updates[-1]
        return {
            "memory": self.memory,
            "rows learned": f"{sum(self.rows.values()):,} in {self.steps:,} steps",
            "tasks ended": str(self.tasks),
            "rows kept": f"{sum(self.kept.values()):,}",
            "rows forgotten on request": f"{self.forgotten:,}",
            "classes": f"{len(self.rows)} of {self.outputs} outputs",
            "weights": f"{self.weights:,}",
            "last update": f"{last.rows:,} rows, {last.accuracy:.1%} of them right before they were learned",
        }

    def __str__(self) -> str:
        facts = self._facts()
        width = max(map(len, facts))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in facts.items())

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self._facts().items())
        return f"<table>{''.join(rows)}</table>"


def rows_kept(lived: "Lived") -> np.ndarray:
    """Return how many rows of each class the buffers of the memory hold."""
    buffers = jax.tree.leaves(lived.state.memory, is_leaf=lambda node: isinstance(node, Buffer))
    counts = np.zeros(len(lived.labels), int)
    for buffer in buffers:
        if isinstance(buffer, Buffer):
            held = np.asarray(buffer.examples.y)[: int(buffer.filled)]
            counts += np.bincount(held, minlength=len(counts))
    return counts
