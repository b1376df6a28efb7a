"""Accuracy in other worlds than the one that was lived in."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import Batch, World

from ._exam import Exam

BLANK = -1
"""What fills up shorter rows of tokens, from the left."""


class Elsewhere(Exam):
    """Ask the test questions of worlds that the learner does not live in: does what it learned carry over?

    elsewhere[i] is the share of the i-th world's questions that are answered correctly. Questions are gathered once, when the
    exam is built; rows of tokens may be longer than those at home, where the model can read them, and shorter ones are filled
    up with blanks, so that one program asks them all. Every world is as it is given: `open` draws nothing for it.

    Args:
        worlds: where the exam is sat.
        page: questions at a time.

    Raises BadInput where there is no world.
    """

    asked: Batch
    places: int = eqx.field(static=True)
    page: int = eqx.field(static=True)

    def __init__(self, worlds: Sequence[World], page: int = 256):
        if not worlds:
            raise BadInput("an exam elsewhere needs at least one world to sit it in")
        papers = [_papers(world, page) for world in worlds]
        length = max(batch.x.shape[-1] for batch in papers)
        filled = [_at(batch, place, length) for place, batch in enumerate(papers)]
        together = jax.tree.map(lambda *parts: jnp.concatenate(parts), *filled)
        self.asked = jax.tree.map(lambda leaf: _paged(leaf, page), together)
        self.places, self.page = len(worlds), page

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'elsewhere': [worlds]}."""

        def mark(asked: Batch) -> tuple[Array, Array]:
            right = learner.answer(state, asked.x, asked.allowed).argmax(-1) == asked.y
            there = jax.nn.one_hot(asked.task, self.places) * asked.weight[:, None]
            return right.astype(jnp.float32) @ there, there.sum(0)

        right, asked = jax.lax.map(mark, self.asked)
        return {"elsewhere": right.sum(0) / asked.sum(0)}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One value a world."""
        return {"elsewhere": ("place",)}

    @property
    def whole(self) -> bool:
        """Answers are enough."""
        return False


@eqx.filter_jit
def _papers(world: World, page: int) -> Batch:
    """Return all questions of a world as one batch."""
    papers = world.papers(page)
    pages = jax.lax.map(papers.page, jnp.arange(papers.count))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), pages)


def _at(batch: Batch, place: int, length: int) -> Batch:
    """Return a batch that belongs to a place, its rows filled up with blanks."""
    short = length - batch.x.shape[-1]
    x = jnp.pad(batch.x, [(0, 0)] * (batch.x.ndim - 1) + [(short, 0)], constant_values=BLANK) if short else batch.x
    return Batch(x, batch.y, jnp.full_like(batch.task, place), batch.weight, batch.allowed)


def _paged(leaf: Array, page: int) -> Array:
    """Return rows in pages, the last one filled up with zeros."""
    rows = jnp.pad(leaf, [(0, -len(leaf) % page)] + [(0, 0)] * (leaf.ndim - 1))
    return rows.reshape(-1, page, *leaf.shape[1:])
