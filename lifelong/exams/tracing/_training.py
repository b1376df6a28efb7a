"""How networks are trained: lanes side by side, minibatches, and students kept apart to stop by."""

import os
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from lifelong.errors import BadInput

from ._network import surprise
from ._rows import Rows

KEPT = 0.1
"""Share of students that are kept apart to stop by."""

FEWEST = 10
"""With fewer students than this none are kept apart, and training stops by what it learns from."""

STEEPEST = 1.0
"""Gradients are scaled down to this norm (Piech et al. 2015 truncate theirs too, section 3.3)."""

AHEAD = 64
"""Batches of a call, in whole epochs, one at least: a call costs time, and a core changes lanes only between calls."""

STEP, MOST = 8, 64
"""Pieces that are predicted at a time: as many as are kept, in steps that share compiled programs, up to so many."""

WIDE = {"xla_cpu_prefer_vector_width": 512}
"""Kernels use vectors of 512 bits where the processor has them; XLA alone would take 256."""


class Course(NamedTuple):
    """How long to train, by how many pieces at a time, and how fast."""

    epochs: int
    batch: int
    patience: int
    learning_rate: float


class _State(NamedTuple):
    """Lanes on their way: networks and moments of Adam, the best networks so far and their loss, epochs without better."""

    network: PyTree
    moments: PyTree
    best: PyTree
    lowest: Float[Array, " lanes"]
    stale: Int[Array, " lanes"]


class _Split(NamedTuple):
    """Of one lane and group: the pieces to learn from and those to stop by."""

    learned: Int[np.ndarray, " pieces"]
    kept: Int[np.ndarray, " pieces"]


def train(
    networks: Any, groups: list[Rows], weights: Float[np.ndarray, "lanes students"], course: Course, seed: int
) -> Any:
    """Return trained networks; `networks` has a leading axis of lanes, lane i is shown students by `weights[i]`."""
    graded = [(rows.outcome >= 0).any(axis=1) for rows in groups]
    splits = [_split(groups, graded, weight, seed + lane) for lane, weight in enumerate(weights)]
    data = [jax.tree.map(jnp.asarray, rows) for rows in groups]
    most = max(len(split.kept) for lane in splits for split in lane)
    job = _Job(data, course, min(STEP * max(1, -(-most // STEP)), MOST), Lock())
    lanes = [
        (jax.tree.map(lambda leaf, own=own: leaf[own], networks), [splits[i] for i in own], weights[own], own + seed)
        for own in _together(len(weights))
    ]
    trained = _in_turns([job.run(*one) for one in lanes])
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *trained)


def _in_turns(runs: list[Generator[None, None, PyTree]]) -> list[PyTree]:
    """Return what runs return; each core goes on with the one that has waited longest, so that all end at about one time."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:

        def turn(run: Generator[None, None, PyTree]) -> PyTree | Future:
            try:
                next(run)
            except StopIteration as end:
                return end.value
            return pool.submit(turn, run)

        found: list[Any] = [pool.submit(turn, run) for run in runs]
        while any(isinstance(one, Future) for one in found):
            found = [one.result() if isinstance(one, Future) else one for one in found]
    return found


def _together(lanes: int) -> list[np.ndarray]:
    """Return which lanes are stepped at once: all on an accelerator; on a CPU each alone, in a thread, for the cache."""
    return list(np.arange(lanes)[:, None] if jax.default_backend() == "cpu" else np.arange(lanes)[None])


def _split(groups: list[Rows], graded: list[np.ndarray], weight: np.ndarray, seed: int) -> list[_Split]:
    """Return which pieces of every group a lane learns from, and which it stops by; pieces without grades are neither."""
    usable = [np.flatnonzero(some & (weight[rows.student] > 0)) for rows, some in zip(groups, graded, strict=True)]
    students = np.unique(np.concatenate([rows.student[own] for rows, own in zip(groups, usable, strict=True)]))
    if len(students) < FEWEST:
        return [_Split(own, own) for own in usable]
    kept = np.random.default_rng((seed, 0)).permutation(students)[: max(1, round(KEPT * len(students)))]
    apart = [np.isin(rows.student[own], kept) for rows, own in zip(groups, usable, strict=True)]
    return [_Split(own[~out], own[out]) for own, out in zip(usable, apart, strict=True)]


class _Dealt(NamedTuple):
    """Batches of pieces, −1 where there is none, in an array of one size for all; and how many of them are needed."""

    pieces: Int[Array, "passes lanes steps batch"] | np.ndarray
    steps: Int[Array, ""] | int


class _Lesson(NamedTuple):
    """What lanes are taught from and examined by: data, pieces that are kept apart, weights of students, keys."""

    data: list[Rows]
    kept: list[_Dealt]
    weights: Float[Array, "lanes students"]
    keys: Key[Array, " lanes"]


class _Job(NamedTuple):
    """Data and settings that all lanes share, pieces to predict at a time; the lock lets the first lane compile for all.

    What it lives under the lock is no epoch, so that no lane waits for epochs of another.
    """

    data: list[Rows]
    course: Course
    asked: int
    lock: Lock

    def run(
        self, network: Any, splits: list[list[_Split]], weights: np.ndarray, seeds: np.ndarray
    ) -> Generator[None, None, Any]:
        """Train some lanes until all have stopped, a few epochs at a time, and return the best network of each."""
        course, lanes = self.course, len(seeds)
        moments = jax.vmap(_adam(course.learning_rate).init)(network)
        state = _State(network, moments, network, jnp.full(lanes, jnp.inf, jnp.float32), jnp.zeros(lanes, jnp.int32))
        lesson = _Lesson(
            self.data,
            [_dealt([[split[g].kept for split in splits]], rows, self.asked) for g, rows in enumerate(self.data)],
            jnp.asarray(weights, jnp.float32),
            jnp.stack([jax.random.key(int(seed)) for seed in seeds]),
        )
        ahead = max(1, AHEAD // sum(-(-len(rows.student) // course.batch) for rows in self.data))
        for first in range(0, course.epochs, ahead):
            orders = self.orders(splits, seeds, range(first, first + ahead))
            if first == 0:
                with self.lock:
                    state = _taught(state, lesson, orders, (0, 0), course.patience, course.learning_rate)
            span = first, min(first + ahead, course.epochs)
            state = _taught(state, lesson, orders, span, course.patience, course.learning_rate)
            if bool(jnp.all(state.stale >= course.patience)):
                break
            yield
        if not np.isfinite(state.lowest).all():
            raise BadInput(f"no epoch has a finite loss at learning_rate={course.learning_rate}: try a smaller one")
        return state.best

    def orders(self, splits: list[list[_Split]], seeds: np.ndarray, epochs: range) -> list[_Dealt]:
        """Return the batches of some epochs, for every group of pieces."""

        def shuffled(g: int, epoch: int) -> list[np.ndarray]:
            return [
                np.random.default_rng((int(seed), epoch, g)).permutation(split[g].learned)
                for split, seed in zip(splits, seeds, strict=True)
            ]

        return [
            _dealt([shuffled(g, epoch) for epoch in epochs], rows, self.course.batch)
            for g, rows in enumerate(self.data)
        ]


def _dealt(chosen: list[list[np.ndarray]], rows: Rows, batch: int) -> _Dealt:
    """Return pieces, chosen for every pass and lane, in batches."""
    passes, lanes, total = len(chosen), len(chosen[0]), len(rows.student)
    out = np.full((passes, lanes, -(-total // batch) * batch), -1, np.int32)
    for place in np.ndindex(passes, lanes):
        own = chosen[place[0]][place[1]]
        out[place][: len(own)] = own
    return _Dealt(out.reshape(passes, lanes, -1, batch), -(-max(map(len, chosen[0])) // batch))


def _adam(rate: Float[Array, ""] | float) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(STEEPEST), optax.adam(rate))


def _over_lanes(lane: Callable) -> Callable:
    """Return a function of one lane as one of all; one lane alone is computed without an axis of lanes."""

    def every(*trees: PyTree) -> PyTree:
        if len(jax.tree.leaves(trees)[0]) > 1:
            return jax.vmap(lane)(*trees)
        return jax.tree.map(lambda leaf: leaf[None], lane(*jax.tree.map(lambda leaf: leaf[0], trees)))

    return every


def _batch(rows: Rows, index: Int[Array, " batch"], weight: Float[Array, " students"]) -> tuple[Rows, Array, Array]:
    """Return the pieces of a batch, their weights, and how many graded rows weigh in."""
    batch = jax.tree.map(lambda column: column[jnp.maximum(index, 0)], rows)
    own = jnp.where(index >= 0, weight[batch.student], 0.0)
    return batch, own, (own * (batch.outcome >= 0).sum(axis=1)).sum()


@partial(jax.jit, compiler_options=WIDE)
def _taught(
    state: _State,
    lesson: _Lesson,
    orders: list[_Dealt],
    span: tuple[Int[Array, ""] | int, Int[Array, ""] | int],
    patience: Int[Array, ""] | int,
    rate: Float[Array, ""] | float,
) -> _State:
    """Return the state after the epochs of a span, or after that in which the last lane stops."""
    first, stop = span

    def going(carry: tuple[Array, _State]) -> Array:
        return (carry[0] < stop) & (carry[1].stale < patience).any()

    def epoch(carry: tuple[Array, _State]) -> tuple[Array, _State]:
        number, state = carry
        for rows, order in zip(lesson.data, orders, strict=True):
            state = _learned(state, rows, order, number - first, lesson, number, rate)
        exams = zip(lesson.data, lesson.kept, strict=True)
        lost = jnp.stack([_examined(state.network, rows, kept, lesson.weights) for rows, kept in exams])
        return number + 1, _judged(state, lost.sum(axis=0), patience)

    return jax.lax.while_loop(going, epoch, (jnp.asarray(first), state))[1]


def _learned(
    state: _State, rows: Rows, order: _Dealt, turn: Array, lesson: _Lesson, epoch: Array, rate: Float[Array, ""] | float
) -> _State:
    """Return the state after one pass over the batches of every lane; a batch without pieces changes nothing."""
    adam = _adam(rate)
    pieces = jax.lax.dynamic_index_in_dim(order.pieces, turn, keepdims=False)

    def lane(network: PyTree, moments: PyTree, index: Array, weight: Array, key: Array) -> tuple[PyTree, PyTree]:
        batch, own, count = _batch(rows, index, weight)

        def loss(network: PyTree) -> Array:
            return (own * network.loss(batch, key=key)).sum() / jnp.maximum(count, 1e-6)

        updates, after = adam.update(jax.grad(loss)(network), moments)
        moved = jax.tree.map(jnp.add, network, updates)
        return jax.tree.map(partial(jnp.where, count > 0), (moved, after), (network, moments))

    def step(number: Array, carry: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        index = jax.lax.dynamic_index_in_dim(pieces, number, axis=1, keepdims=False)
        fold = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, epoch), number))
        return _over_lanes(lane)(*carry, index, lesson.weights, fold(lesson.keys))

    network, moments = jax.lax.fori_loop(0, order.steps, step, (state.network, state.moments))
    return state._replace(network=network, moments=moments)


def _examined(
    networks: PyTree, rows: Rows, kept: _Dealt, weights: Float[Array, "lanes students"]
) -> Float[Array, "lanes 2"]:
    """Return −Σ ln P(answers) of the pieces in question, and how many answers there were, as they weigh."""

    def lane(network: PyTree, index: Array, weight: Array) -> Array:
        batch, own, count = _batch(rows, index, weight)
        return jnp.stack([(own * surprise(network.logits(batch), batch)).sum(), count])

    def step(number: Array, total: Array) -> Array:
        index = jax.lax.dynamic_index_in_dim(kept.pieces[0], number, axis=1, keepdims=False)
        return total + _over_lanes(lane)(networks, index, weights)

    return jax.lax.fori_loop(0, kept.steps, step, jnp.zeros((len(weights), 2)))


def _judged(state: _State, lost: Float[Array, "lanes 2"], patience: Int[Array, ""] | int) -> _State:
    """Keep what is better than all before it, in lanes that have not stopped."""
    loss = lost[:, 0] / jnp.maximum(lost[:, 1], 1e-6)
    better = (loss < state.lowest) & (state.stale < patience)
    best = jax.tree.map(
        lambda new, old: jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old), state.network, state.best
    )
    stale = jnp.where(better, 0, state.stale + 1)
    return state._replace(best=best, lowest=jnp.where(better, loss, state.lowest), stale=stale)
