"""A stream of requests: learn this task, unlearn that one."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import Lesson, read_requests

from ._teacher import Teacher


class Requests(Teacher):
    """Ask for tasks to be learned and unlearned, one request after the other; the learner is told when one ends.

    The turns of a task count on from one request to the next, so that its examples come in whole shuffled passes. After
    the last request comes more of it. Streams of equally long requests share a compiled program, whatever their tasks.

    Args:
        requests: as in 'L0 L1 U0 L2': learn 0, learn 1, unlearn 0, learn 2.
        learn: lessons in a request to learn.
        unlearn: lessons in a request to unlearn, or those of each such request.

    Raises `BadInput` for requests that cannot be read, for lengths below 1, and where their number does not fit.
    """

    asked: Int[Array, " requests"]
    unlearned: Bool[Array, " requests"]
    first_turn: Int[Array, " requests"]
    ends: tuple[int, ...] = eqx.field(static=True)
    tasks: int = eqx.field(static=True)

    def __init__(self, requests: str, learn: int, unlearn: int | Sequence[int] = 100):
        read = read_requests(requests)
        lengths = _lengths([is_unlearning for _, is_unlearning in read], learn, unlearn)
        turns, met = [], dict.fromkeys((task for task, _ in read), 0)
        for (task, _), length in zip(read, lengths, strict=True):
            turns.append(met[task])
            met[task] += length
        self.asked = jnp.asarray([task for task, _ in read], jnp.int32)
        self.unlearned = jnp.asarray([is_unlearning for _, is_unlearning in read])
        self.first_turn = jnp.asarray(turns, jnp.int32)
        self.ends = tuple(int(end) for end in np.cumsum(lengths))
        self.tasks = max(met) + 1

    def init(self, *, key: PRNGKeyArray) -> Int[Array, ""]:
        """Return the clock."""
        return jnp.int32(0)

    def ask(self, plan: Int[Array, ""], *, key: PRNGKeyArray) -> tuple[Lesson, Int[Array, ""]]:
        """Return the next lesson of the current request."""
        ends = jnp.asarray(self.ends)
        which = jnp.minimum((plan >= ends).sum(), len(ends) - 1)
        begun = jnp.where(which > 0, ends[which - 1], 0)
        return Lesson(self.asked[which], self.first_turn[which] + plan - begun, self.unlearned[which]), plan + 1

    def boundaries(self, steps: int) -> tuple[int, ...]:
        """Return the ends of the requests."""
        return tuple(end for end in self.ends if end <= steps)


def _lengths(unlearns: Sequence[bool], learn: int, unlearn: int | Sequence[int]) -> list[int]:
    """Return how many lessons each request takes."""
    own = [unlearn] * sum(unlearns) if isinstance(unlearn, int) else list(unlearn)
    if len(own) != sum(unlearns):
        raise BadInput(f"there are {sum(unlearns)} requests to unlearn, and lengths for {len(own)}")
    if min([learn, *own]) < 1:
        raise BadInput(f"a request takes at least one lesson: learn={learn}, unlearn={unlearn}")
    return [own.pop(0) if is_unlearning else learn for is_unlearning in unlearns]
