"""Spaces of tasks that a teacher may ask for: a box of numbers, a list, or whatever a function makes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch


class Trial(NamedTuple):
    """One try at a task. Where `learn` is false, the task is only to be tried: the learner must not learn from it."""

    task: PyTree
    learn: Bool[Array, ""] | bool = True


class TaskSpace(eqx.Module):
    """The tasks there are. A task is an array, or a tree of arrays, always of the same shapes and types."""

    def sample(self, *, key: PRNGKeyArray) -> PyTree:
        """Return a task drawn evenly from all there are."""
        raise NotImplementedError

    def checked(self, task: Any) -> PyTree:
        """Return a task from outside as arrays; raise `BadInput` where it is none of this space."""
        raise NotImplementedError

    def check_within(self, other: "TaskSpace") -> None:
        """Raise `Mismatch` where tasks of this space are not tasks of the other."""
        if type(self) is not type(other):
            raise Mismatch(
                f"the teacher asks for tasks of a {type(self).__name__}, and the world has those of a "
                f"{type(other).__name__}; build the teacher with the world's `space`"
            )


class TaskBox(TaskSpace):
    """Tasks that are vectors of numbers between bounds.

    Args:
        low, high: the least and the greatest value of every number; the box contains both.
        names: what the numbers are called; 'x0', 'x1' … unless given.

    Raises `BadInput` for bounds that are not finite, of no width or of different lengths, and for names that do not fit.
    """

    low: Float[Array, " dims"]
    high: Float[Array, " dims"]
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, low: Any, high: Any, names: Sequence[str] | None = None):
        low, high = (np.atleast_1d(np.asarray(bound, np.float32)) for bound in (low, high))
        if low.ndim != 1 or low.shape != high.shape or not low.size:
            raise BadInput(
                f"a box of tasks needs as many lowest as highest values, and has {low.shape} and {high.shape}"
            )
        self.names = tuple(names) if names is not None else tuple(f"x{i}" for i in range(low.size))
        if len(self.names) != low.size or len(set(self.names)) < low.size:
            raise BadInput(f"{low.size} numbers need {low.size} different names, not {', '.join(self.names)}")
        for name, least, most in zip(self.names, low.tolist(), high.tolist(), strict=True):
            if not (np.isfinite(least) and np.isfinite(most)):
                raise BadInput(f"'{name}' runs from {least:g} to {most:g}; a teacher needs finite bounds")
            if not least < most:
                raise BadInput(f"'{name}' runs from {least:g} to {most:g}: no width; leave it out, or widen it")
        self.low, self.high = jnp.asarray(low), jnp.asarray(high)

    @property
    def dims(self) -> int:
        """How many numbers a task has."""
        return len(self.names)

    def at(self, place: Float[Array, "*n dims"]) -> Float[Array, "*n dims"]:
        """Return the tasks at places in the unit cube."""
        return self.clip(self.low + place * (self.high - self.low))

    def clip(self, task: Float[Array, "*n dims"]) -> Float[Array, "*n dims"]:
        """Return the nearest tasks within the bounds."""
        return jnp.clip(task, self.low, self.high)

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " dims"]:
        """Return a task drawn evenly from the box."""
        return self.at(jax.random.uniform(key, (self.dims,)))

    def checked(self, task: Any) -> Float[Array, " dims"]:
        """Return a task as an array; raise `BadInput` for a wrong length, a NaN, or what lies outside."""
        given = np.asarray(task, np.float32)
        if given.shape != (self.dims,):
            raise BadInput(
                f"a task is {self.dims} numbers ({', '.join(self.names)}), and this has the shape {given.shape}"
            )
        bounds = zip(self.names, given.tolist(), np.asarray(self.low), np.asarray(self.high), strict=True)
        for name, value, least, most in bounds:
            if not least <= value <= most:
                raise BadInput(f"'{name}' lies between {least:g} and {most:g}, and this task has {value:g}")
        return jnp.asarray(given)

    def check_within(self, other: TaskSpace) -> None:
        """Raise `Mismatch` where the other space has other dimensions, or narrower bounds."""
        super().check_within(other)
        assert isinstance(other, TaskBox)
        if self.dims != other.dims:
            raise Mismatch(f"the teacher asks for tasks of {self.dims} numbers, and the world's have {other.dims}")
        if bool((self.low < other.low).any() | (self.high > other.high).any()):
            raise Mismatch("the teacher's box of tasks reaches beyond the world's; build it with the world's `space`")


class TaskList(TaskSpace):
    """Tasks by number, 0 … count−1.

    Args:
        tasks: how many, or what they are called.

    Raises `BadInput` for an empty list, and for names that repeat.
    """

    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, tasks: int | Sequence[str]):
        self.names = tuple(map(str, range(tasks))) if isinstance(tasks, int | np.integer) else tuple(tasks)
        if not self.names or len(set(self.names)) < len(self.names):
            raise BadInput(f"a list of tasks needs at least one task, and no name twice; it was given {tasks!r}")

    @property
    def count(self) -> int:
        """How many tasks there are."""
        return len(self.names)

    def sample(self, *, key: PRNGKeyArray) -> Int[Array, ""]:
        """Return the number of a task, all being as likely."""
        return jax.random.randint(key, (), 0, self.count)

    def checked(self, task: Any) -> Int[Array, ""]:
        """Return a task's number; raise `BadInput` for what is no whole number from 0 to count−1."""
        given = np.asarray(task)
        if given.shape != () or not np.issubdtype(given.dtype, np.integer) or not 0 <= given < self.count:
            raise BadInput(f"a task is a whole number from 0 to {self.count - 1}, and this is {task!r}")
        return jnp.asarray(given, jnp.int32)

    def check_within(self, other: TaskSpace) -> None:
        """Raise `Mismatch` where the other list is shorter."""
        super().check_within(other)
        assert isinstance(other, TaskList)
        if self.count > other.count:
            raise Mismatch(f"the teacher has a list of {self.count} tasks, and the world one of {other.count}")


class TaskMaker(TaskSpace):
    """Tasks that a function makes: mazes, latent vectors, anything of fixed shapes.

    Args:
        make: called with `key=` it returns a task, a tree of arrays.
    """

    make: Callable[..., PyTree]

    def sample(self, *, key: PRNGKeyArray) -> PyTree:
        """Return a task that the function makes."""
        return self.make(key=key)

    def checked(self, task: Any) -> PyTree:
        """Return a task as arrays; raise `BadInput` where its structure, shapes or numbers cannot be."""
        like = eqx.filter_eval_shape(self.make, key=jax.random.key(0))
        given, structure = jax.tree.flatten(task)
        leaves, wanted = jax.tree.flatten(like)
        arrays = [np.asarray(leaf) for leaf in given]
        if structure != wanted or [a.shape for a in arrays] != [leaf.shape for leaf in leaves]:
            raise BadInput(f"a task looks like {like}, and this does not")
        if any(np.issubdtype(a.dtype, np.floating) and not np.isfinite(a).all() for a in arrays):
            raise BadInput("a task has only finite numbers, and this has others")
        typed = [jnp.asarray(a, leaf.dtype) for a, leaf in zip(arrays, leaves, strict=True)]
        return jax.tree.unflatten(structure, typed)


def task_space(given: Any) -> TaskSpace:
    """Return a space of tasks: itself, or what stands for one.

    A box is anything with `low` and `high`, a list anything with a `count` or an `n`, such as Gymnasium's spaces; a
    function makes tasks. Raises `BadInput` for anything else.
    """
    if isinstance(given, TaskSpace):
        return given
    if hasattr(given, "low") and hasattr(given, "high"):
        return TaskBox(given.low, given.high)
    for name in ("count", "n"):
        if isinstance(number := getattr(given, name, None), int | np.integer):
            return TaskList(int(number))
    if callable(given):
        return TaskMaker(given)
    raise BadInput(
        f"a teacher needs a space of tasks: a TaskBox, a TaskList, a function that makes tasks, or a Gymnasium space "
        f"of one of these kinds; not {given!r}"
    )
