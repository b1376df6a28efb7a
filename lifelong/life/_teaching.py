"""A teacher for loops that are not this library's: asked and told one task at a time, in NumPy."""

import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from lifelong.errors import BadFile, BadInput
from lifelong.keys import key_for
from lifelong.teachers import Searching, Teacher
from lifelong.worlds import Trial

from ._checkpoint import fingerprint, read_tensors, write_tensors

FORMAT = "lifelong-teaching-1"


class Teaching:
    """A teacher and its plan, for a loop in plain Python.

        teaching = Teaching(ALPGMM(TaskBox([0.0], [3.0], names=["stump height"])), seed=1)
        task = teaching.ask()
        teaching.tell(task, episode(task))

    Several tasks may be asked for before any is told. With the same seed, and outcomes told in the order in which tasks were
    asked for, it asks for the tasks that `live` would (to rounding).

    Args:
        teacher: any teacher; one that does not search a space of tasks is asked for lessons.
        seed: whole number from 0 on.
    """

    def __init__(self, teacher: Teacher, seed: int = 0):
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
            raise BadInput(f"a seed is a whole number from 0 to 2³²−1, not {seed!r}")
        self.teacher, self.seed = teacher, int(seed)
        self.asked = self.told = 0
        self.learn = True
        """Whether the task asked for last is to be learned from; see `PLR`."""
        self._key = jax.random.fold_in(jax.random.key(0), self.seed)
        self._plan = _start(teacher, self._key)

    def ask(self) -> Any:
        """Return the next task: an array, a whole number, or whatever the space makes; a lesson of other teachers."""
        lesson, self._plan = _ask((self.teacher, self._key, np.int32(self.asked)), self._plan)
        self.asked += 1
        if not isinstance(lesson, Trial):
            return jax.tree.map(np.asarray, lesson)
        self.learn = bool(lesson.learn)
        return jax.tree.map(_plain, lesson.task)

    def tell(self, task: Any, outcome: Any = None, **more: Any) -> None:
        """Tell how a task went: the number that the teacher listens to, and others by name.

        Raises `BadInput` for a task that is none of the teacher's space, and for numbers that are not finite.
        """
        named = {} if outcome is None else {getattr(self.teacher, "measure", "return"): outcome}
        report = {name: _number(name, value) for name, value in (named | more).items()}
        lesson = Trial(self.teacher.space.checked(task)) if isinstance(self.teacher, Searching) else task
        self._plan = _tell((self.teacher, self._key, np.int32(self.told), lesson, report), self._plan)
        self.told += 1

    def save(self, path: str | Path) -> None:
        """Write the plan to a file, atomically and without pickle."""
        leaves = {f"plan.{i:04d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(self._plan))}
        about = json.dumps({"asked": self.asked, "told": self.told, "learn": self.learn})
        write_tensors(Path(path), leaves, {"format": FORMAT, "teacher": self._fingerprint(), "about": about})

    @classmethod
    def load(cls, path: str | Path, teacher: Teacher, seed: int = 0) -> "Teaching":
        """Return what was saved of the same teacher and seed; raise `BadFile` for a corrupt file, or another teacher's."""
        teaching = cls(teacher, seed)
        tensors, metadata = read_tensors(Path(path), FORMAT, "saved plan of a teacher")
        leaves, structure = jax.tree.flatten(teaching._plan)
        stored = [tensors.get(f"plan.{i:04d}") for i in range(len(leaves))]
        alike = all(new is not None and new.shape == old.shape for new, old in zip(stored, leaves, strict=True))
        if metadata.get("teacher") != teaching._fingerprint() or not alike:
            raise BadFile(
                f"'{path}' holds the plan of another teacher, or of another seed; it was left as it is: build the teacher "
                "with the settings it was saved with"
            )
        for name, value in json.loads(metadata["about"]).items():
            setattr(teaching, name, value)
        teaching._plan = jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in stored])
        return teaching

    def _fingerprint(self) -> str:
        return fingerprint(self.teacher, self.seed)


@eqx.filter_jit
def _start(teacher: Teacher, key: Any) -> Any:
    return teacher.init(key=key_for(key, "teacher"))


@eqx.filter_jit(donate="all-except-first")
def _ask(given: tuple, plan: Any) -> Any:
    teacher, key, i = given
    return teacher.ask(plan, key=key_for(key, "ask", i))


@eqx.filter_jit(donate="all-except-first")
def _tell(given: tuple, plan: Any) -> Any:
    teacher, key, i, lesson, report = given
    return teacher.tell(plan, lesson, report, key=key_for(key, "tell", i))


def _plain(leaf: Any) -> Any:
    """Return an array as NumPy has it, and a whole number as Python has it."""
    array = np.array(leaf)
    return int(array) if array.ndim == 0 and np.issubdtype(array.dtype, np.integer) else array


def _number(name: str, value: Any) -> np.float32:
    try:
        number = np.float32(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"'{name}' must be told as a number, not {value!r}") from error
    if not np.isfinite(number):
        raise BadInput(f"'{name}' was told as {value}; tell finite numbers, and nothing of an episode that failed")
    return number
