"""Another world, seen through a fixed encoder."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, PRNGKeyArray

from ._batch import Batch, Lesson, Mixture
from ._episodes import Episodes
from ._world import Pages, World


class Embedded(World):
    """What a learner with frozen eyes sees: every example of a world passed through an encoder that never learns.

    The encoder's weights are this world's, so they are stored once whatever the number of lifetimes. Of `Episodes`, which
    teach few examples again and again, those are encoded once when a lifetime opens; what is asked about always is anew.

    Args:
        world: where examples come from.
        encoder: from one example to its embedding; any callable of arrays, such as a method of a trained model.
    """

    world: World
    encoder: Callable[[Array], Array]
    taught: Episodes | None

    def __init__(self, world: World, encoder: Callable[[Array], Array]):
        self.world, self.encoder = world, encoder
        self.taught = world.taught_through(encoder) if isinstance(world, Episodes) else None

    @property
    def tasks(self) -> int:
        """The tasks of the world behind."""
        return self.world.tasks

    @property
    def outputs(self) -> int:
        """The outputs of the world behind."""
        return self.world.outputs

    def open(self, *, key: PRNGKeyArray) -> "Embedded":
        """Open the world behind."""
        return Embedded(self.world.open(key=key), self.encoder)

    def corrupted(self, occlusion: Any = 0.0, noise: Any = 0.0) -> "Embedded":
        """Return the same view of a world that corrupts what it asks about, where it can."""
        world = self.world.corrupted(occlusion, noise)  # pyright: ignore[reportAttributeAccessIssue]
        return eqx.tree_at(lambda view: view.world, self, world)

    def draw(self, lesson: Lesson | Mixture, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return embedded examples of what the teacher asked for."""
        if self.taught is not None:
            return self.taught.draw(lesson, n, key=key)
        return self.see(self.world.draw(lesson, n, key=key))

    def review(self, task: Any, n: int) -> Pages:
        """Return all embedded training examples of one task."""
        if self.taught is not None:
            return self.taught.review(task, n)
        pages = self.world.review(task, n)
        return EmbeddedPages(world=self, pages=pages, count=pages.count)

    def papers(self, n: int) -> Pages:
        """Return the questions of all tasks, embedded."""
        pages = self.world.papers(n)
        return EmbeddedPages(world=self, pages=pages, count=pages.count)

    def see(self, batch: Batch) -> Batch:
        """Return a batch with its examples embedded."""
        return eqx.tree_at(lambda b: b.x, batch, jax.vmap(self.encoder)(batch.x))


class EmbeddedPages(Pages):
    """Pages seen through an encoder."""

    world: Embedded
    pages: Pages
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return the `i`-th page, embedded."""
        return self.world.see(self.pages.page(i))
