"""What every world can do."""

from typing import Any

import equinox as eqx
from jaxtyping import PRNGKeyArray

from ._batch import Batch, Lesson, Mixture


class World(eqx.Module):
    """Where experience comes from: a space of tasks, and what each of them holds.

    A data world implements `draw`, `review` and `papers`. Its arrays are leaves and are shared by all lifetimes;
    what differs between lifetimes (class order, permutations) is drawn by `open`.
    """

    tasks: eqx.AbstractVar[int]
    outputs: eqx.AbstractVar[int]

    def open(self, *, key: PRNGKeyArray) -> "World":
        """Return this world as one lifetime meets it: its own class order, permutations, order of examples."""
        return self

    def draw(self, lesson: Lesson | Mixture, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return `n` training examples of what the teacher asked for."""
        raise NotImplementedError(f"{type(self).__name__} does not hand out examples")

    def review(self, task: Any, n: int) -> "Pages":
        """Return all training examples of one task, in pages of `n`.

        In random order, so that a page, or the first so many examples, stand for the whole.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be reviewed task by task")

    def papers(self, n: int) -> "Pages":
        """Return the exam questions of all tasks, in pages of `n`."""
        raise NotImplementedError(f"{type(self).__name__} sets no papers")


class Pages(eqx.Module):
    """A body of examples read page by page: `page(i)` for i below `count`, padded with weight 0."""

    count: eqx.AbstractVar[int]

    def page(self, i: Any) -> Batch:
        """Return the `i`-th page."""
        raise NotImplementedError
