"""Forgetting on request: out of the buffers, out of the model as far as that goes, and a look at what is left."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int, PyTree

from lifelong.errors import BadInput, UnknownName
from lifelong.exams import Audit, Finding, audit
from lifelong.keys import key_for
from lifelong.learners import GradientLearner
from lifelong.life._programs import all_finite
from lifelong.memory import NPO, Buffer, GradientAscent, Loss, RandomLabels, SimNPO, Unlearner
from lifelong.worlds import Batch

from ._lived import Lived, Unfinished
from ._rows import compiled

METHODS: dict[str, tuple[Callable[[int], Unlearner] | None, str]] = {
    "npo": (lambda classes: NPO(), "climbs the loss on the rows, the less the further it has come"),
    "simnpo": (lambda classes: SimNPO(), "the same without a look back at the model of before"),
    "ascent": (lambda classes: GradientAscent(math.log(classes)), "climbs the loss on the rows up to that of a guess"),
    "random-labels": (lambda classes: RandomLabels(), "learns random labels for the rows"),
    "release": (None, "takes the rows out of the buffers and leaves the model as it is"),
    "retrain": (None, "learns the rows to retain from scratch: the one way after which nothing is left"),
}
"""Name → how to unlearn with so many classes met, and what it does in a few words."""


class Known(NamedTuple):
    """Rows whose labels an estimator knows, and the outputs that stand for them."""

    x: Float32[np.ndarray, "n features"]
    y: np.ndarray
    codes: Int[np.ndarray, " n"]

    @classmethod
    def of(cls, lived: Lived, x: Float32[np.ndarray, "n features"], y: np.ndarray) -> "Known":
        """Return rows with their outputs; raise `BadInput` where a label was never learned."""
        strange = np.unique(y)[~np.isin(np.unique(y), lived.labels)]
        if len(strange):
            raise BadInput(f"the label {strange[0]!r} was never learned; known are {np.sort(lived.labels).tolist()}")
        return cls(x, y, lived.codes(y))


def forget(
    lived: Lived, rows: Known, method: str | Unlearner, retained: Known | None, held_out: Known | None
) -> tuple[Lived, Audit]:
    """Return an estimator's life without some rows, and what an audit finds of them; `method` is a name or an unlearner.

    Exact is what happens to buffers and unfinished tasks: the rows are gone from there, and from the rehearsals drawn.
    The model unlearns them while it rehearses what is retained (unless given, what the buffers still hold), and its
    optimizer starts afresh, since its momenta are made of past gradients. 'retrain' lets a newborn learn the rows
    retained, in as many passes as `fit` makes.

    Raises `UnknownName` or `BadInput` for a method that is not there or lacks what it needs, `BadInput` where it diverges.
    """
    unlearner = _unlearner(method, int(np.sum(lived.state.seen)))
    gone = Marks.of(rows)
    _check_apart(gone, retained)
    if method == "retrain":
        after = retrained(lived, retained, lived.seed)
    else:
        after = _released(lived, gone)
        if unlearner is not None:
            after = _unlearned(after, unlearner, rows, retained)
    after = replace(after, forgotten=lived.forgotten + len(rows.y), rows=lived.rows, updates=lived.updates)
    found = [_of_memory(lived, after, gone, len(rows.y)), *(_of_derived(after) if method != "retrain" else ())]
    return after, Audit((*found, *_of_model(lived, after, rows, retained, held_out)))


def _unlearner(method: str | Unlearner, classes: int) -> Unlearner | None:
    if isinstance(method, Unlearner):
        return method
    if method not in METHODS:
        raise UnknownName("way to forget", str(method), METHODS)
    make = METHODS[method][0]
    return make and make(max(2, classes))


class Marks(NamedTuple):
    """Marks examples that equal one of some rows in every number and in their output."""

    wanted: frozenset[tuple[bytes, int]]

    @classmethod
    def of(cls, rows: Known) -> "Marks":
        """Return what marks these rows."""
        return cls(frozenset(_identity(x, code) for x, code in zip(rows.x, rows.codes, strict=True)))

    def among(self, x: np.ndarray, codes: np.ndarray) -> Bool[np.ndarray, " n"]:
        """Return which of some rows are marked."""
        pairs = zip(x, codes, strict=True)
        return np.array([_identity(row, code) in self.wanted for row, code in pairs], bool)

    def __call__(self, batch: Batch) -> Bool[Array, " n"]:
        """Return which examples of a batch are marked, as `Memory.release` asks."""
        return jnp.asarray(self.among(np.asarray(batch.x), np.asarray(batch.y)))


def _identity(x: np.ndarray, code: Any) -> tuple[bytes, int]:
    return (x.astype(np.float32) + np.float32(0)).tobytes(), int(code)  # −0 and 0 are one number


def _check_apart(gone: Marks, retained: Known | None) -> None:
    shared = int(gone.among(retained.x, retained.codes).sum()) if retained else 0
    if shared:
        raise BadInput(f"{shared} of the rows to retain are among those to forget; leave them out of retain=(X, y)")


def _released(lived: Lived, gone: Marks) -> Lived:
    """Return a life whose memory, unfinished task and optimizer hold nothing of some rows."""
    memory = lived.plan.memory.release(lived.state.memory, gone)
    optimizer = lived.plan.newborn(lived.outputs, lived.seed)[1].optimizer
    stays = ~gone.among(lived.unfinished.x, lived.unfinished.y)
    unfinished = Unfinished(*(part[stays] for part in lived.unfinished))
    state = replace(lived.state, memory=memory, optimizer=optimizer)
    return replace(lived, state=state, unfinished=unfinished)


def _unlearned(lived: Lived, unlearner: Unlearner, rows: Known, retained: Known | None) -> Lived:
    """Return a life whose model has unlearned some rows."""
    retain = _filled_up(lived, retained.x, retained.codes) if retained else _rehearsed(lived)
    if retain is None and unlearner.needs_retained:
        raise BadInput(
            f"{type(unlearner).__name__} needs rows to retain, and the memory holds none; give retain=(X, y)"
        )
    asked = _filled_up(lived, rows.x, rows.codes)
    key = key_for(lived.key, "forget", lived.steps + lived.forgotten)
    model, finite = _carried_out(unlearner, lived.learner, lived.state.model, asked, retain, key)
    if not finite:
        raise BadInput(
            "unlearning diverged, and the estimator was left as it was; lower its learning rate or its steps"
        )
    return replace(lived, state=replace(lived.state, model=model))


@compiled
def _carried_out(
    unlearner: Unlearner, learner: GradientLearner, model: PyTree, forget: Batch, retain: Batch | None, key: Any
) -> tuple[PyTree, Bool[Array, ""]]:
    model = unlearner.forget(model, forget, retain, _loss_of(learner), key=key)
    return model, all_finite(model)


def _loss_of(learner: GradientLearner) -> Loss:
    return lambda model, batch: learner.feedback(model, batch, key=jax.random.key(0))[0]


def retrained(lived: Lived, rows: Known | None, seed: int) -> Lived:
    """Return a newborn of the same plan that has learned only some rows; raise `BadInput` without any."""
    if rows is None:
        raise BadInput("retraining needs the rows to learn from; give retain=(X, y), or choose another method")
    newborn = Lived.begin(lived.plan, lived.labels, seed)
    return newborn.taught(rows.x, rows.y, lived.plan.parameters["epochs"]).task_ended()


def _batch(lived: Lived, x: np.ndarray, codes: np.ndarray) -> Batch:
    """Return rows as a batch that may be answered by the classes met so far."""
    allowed = jnp.broadcast_to(lived.state.seen, (len(codes), lived.outputs))
    zeros, ones = np.zeros(len(codes), np.int32), np.ones(len(codes), np.float32)
    return Batch(jnp.asarray(x), jnp.asarray(codes, jnp.int32), jnp.asarray(zeros), jnp.asarray(ones), allowed)


def _filled_up(lived: Lived, x: np.ndarray, codes: np.ndarray) -> Batch:
    """Return rows filled up to the next power of two, from 32 on, so that few programs are compiled."""
    missing = max(32, 1 << (len(codes) - 1).bit_length()) - len(codes)
    batch = _batch(lived, np.pad(x, ((0, missing), (0, 0))), np.pad(codes, (0, missing)))
    weight = jnp.asarray(np.arange(len(batch)) < len(codes), jnp.float32)
    return replace(batch, weight=weight)


def _rehearsed(lived: Lived) -> Batch | None:
    """Return all rows that the memory holds, or None."""
    kept = _kept(lived)
    if not sum(len(codes) for _, codes in kept):
        return None
    x, codes = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return _filled_up(lived, x, codes)


def _kept(lived: Lived) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows that every buffer and every batch in the memory's state holds, and their outputs."""
    found = []
    for node in jax.tree.leaves(lived.state.memory, is_leaf=_holds_rows):
        if _holds_rows(node):
            batch = node.examples if isinstance(node, Buffer) else node
            y = np.asarray(batch.y)
            taken = np.arange(y.size) < int(node.filled) if isinstance(node, Buffer) else np.asarray(node.weight) > 0
            taken = taken.reshape(-1)
            found.append((np.asarray(batch.x).reshape(-1, batch.x.shape[-1])[taken], y.reshape(-1)[taken]))
    return found


def _holds_rows(node: Any) -> bool:
    return isinstance(node, Buffer | Batch)


def _of_memory(before: Lived, after: Lived, gone: Marks, asked: int) -> Finding:
    held, left = _copies(before, gone), _copies(after, gone)
    return Finding(
        {"kept_before": float(held), "kept": float(left)},
        f"Kept: buffers, rehearsals and the unfinished task held {held} copies of the {asked} rows, and hold {left} now.",
    )


def _of_derived(after: Lived) -> list[Finding]:
    """Say what else the memory holds that was made of the rows, if anything."""
    rest = [node for node in jax.tree.leaves(after.state.memory.within, is_leaf=_holds_rows) if not _holds_rows(node)]
    numbers = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(rest, eqx.is_inexact_array)))
    sentence = (
        f"Derived: the memory also holds {numbers:,} numbers made of all that was learned (importances, anchors, means, "
        "answers or an old model), which were left as they are."
    )
    return [Finding({"derived_numbers": float(numbers)}, sentence)] if numbers else []


def _copies(lived: Lived, gone: Marks) -> int:
    """Return how many copies of some rows the memory and the unfinished task hold."""
    count = int(gone.among(lived.unfinished.x, lived.unfinished.y).sum())
    for x, codes in _kept(lived):
        count += int(gone.among(x, codes).sum())
    return count


def _of_model(
    before: Lived, after: Lived, rows: Known, retained: Known | None, held_out: Known | None
) -> tuple[Finding, ...]:
    """Audit the model against rows never learned, and against one retrained where there are rows to retrain from."""
    if held_out is None or len(rows.y) < 2:
        lacking = "rows never learned to compare them with (held_out=…)" if held_out is None else "more than one row"
        return (Finding({}, f"Model: how much is left in it was not asked, for that needs {lacking}."),)
    reference = retrained(before, retained, before.seed + 1) if retained else None
    gone, others = (_batch(before, part.x, part.codes) for part in (rows, held_out))
    key, loss = key_for(before.key, "audit", before.steps), _loss_of(before.learner)
    model = reference and reference.state.model
    return audit(before.state.model, after.state.model, gone, others, loss, retrained=model, key=key).findings
