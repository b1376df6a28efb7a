"""Worlds that pose problems in words and judge answers: the protocol, and lists of all the problems there are."""

from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._batch import Batch, Lesson, Mixture
from ._lexicon import Lexicon
from ._shuffle import shuffled
from ._world import Pages, World

HELD_OUT = 10
"""One problem in so many is never taught."""


class Verdicts(NamedTuple):
    """What a verifier says of answers: `reward` is what the learner is told, `right` is the truth."""

    reward: Float[Array, " n"]
    right: Bool[Array, " n"]


class Problems(World):
    """A world of problems in words. All prompts have one length, and so have all answers; blanks (−1) fill them up.

    Blanks come before what a prompt says and after what an answer says. Tasks are kinds of problems. One problem in ten, by
    its hash, is held out: it is asked in exams and never posed or shown otherwise. Rows of a call may be of different tasks.
    """

    tasks: eqx.AbstractVar[int]
    outputs: eqx.AbstractVar[int]
    prompt_length: eqx.AbstractVar[int]
    answer_length: eqx.AbstractVar[int]
    lexicon: eqx.AbstractVar[Lexicon]
    """The words of prompts and answers."""

    @property
    def stop(self) -> tuple[int, ...]:
        """The words that end an answer."""
        return (self.lexicon["EOS"],) if "EOS" in self.lexicon.words else ()

    def pose(
        self, task: Int[Array, "*n"], n: int, *, key: PRNGKeyArray, held_out: bool = False
    ) -> Int[Array, "n prompt"]:
        """Return `n` problems of a task, or one of each task given; drawn with replacement."""
        raise NotImplementedError

    def demonstrate(self, prompts: Int[Array, "n prompt"], *, key: PRNGKeyArray) -> Int[Array, "n answer"]:
        """Return a right answer to every problem."""
        raise NotImplementedError

    def judge(self, prompts: Int[Array, "n prompt"], answers: Int[Array, "n answer"]) -> Verdicts:
        """Return verdicts on answers; whatever tokens they hold, they get one."""
        raise NotImplementedError

    def exam_set(self, task: Int[Array, ""] | int, n: int) -> Int[Array, "n prompt"]:
        """Return `n` held-out problems of one task, always the same."""
        return self.pose(jnp.int32(task), n, key=jax.random.fold_in(jax.random.key(HELD_OUT), task), held_out=True)

    def draw(self, lesson: Lesson | Mixture, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return transcripts of `n` demonstrations of what the teacher asked for."""
        for_task, for_prompt, for_answer = jax.random.split(key, 3)
        if isinstance(lesson, Mixture):
            task = jax.random.categorical(for_task, jnp.log(lesson.weights), shape=(n,))
        else:
            task = jnp.full(n, lesson.task, jnp.int32)
        prompts = self.pose(task, n, key=for_prompt)
        return transcripts(prompts, self.demonstrate(prompts, key=for_answer), task.astype(jnp.int32))

    def papers(self, n: int) -> Pages:
        """Return 100 held-out problems of every task, in pages of `n`: prompts, and the first tokens of right answers."""
        asked = jnp.concatenate([self.exam_set(task, QUESTIONS) for task in range(self.tasks)])
        answers = self.demonstrate(asked, key=jax.random.key(HELD_OUT))
        task = jnp.repeat(jnp.arange(self.tasks, dtype=jnp.int32), QUESTIONS)
        sheet = transcripts(asked, answers, task)
        hidden = sheet.x.at[:, :, self.prompt_length :].set(jnp.array([-1, 0], jnp.int32)[:, None])
        asked = Batch(hidden, sheet.y, task, sheet.weight)
        return Sheets(asked=asked, size=n, count=-(-len(task) // n))


QUESTIONS = 100
"""Problems of every task in `papers`."""


class Sheets(Pages):
    """Held-out problems, read page by page."""

    asked: Batch
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return problems i·size …; those past the end have weight 0."""
        place = i * self.size + jnp.arange(self.size)
        page = jax.tree.map(lambda leaf: leaf[jnp.minimum(place, len(self.asked) - 1)], self.asked)
        return eqx.tree_at(lambda b: b.weight, page, (place < len(self.asked)).astype(jnp.float32))


def transcripts(prompts: Int[Array, "n prompt"], answers: Int[Array, "n answer"], task: Int[Array, " n"]) -> Batch:
    """Return a batch of prompts with their answers: x[:, 0] are tokens, x[:, 1] is 1 where one is the learner's to say.

    Labels are the first tokens of the answers.
    """
    own = jnp.concatenate([jnp.zeros_like(prompts), (answers >= 0).astype(prompts.dtype)], 1)
    x = jnp.stack([jnp.concatenate([prompts, answers], 1), own], 1)
    return Batch(x, answers[:, 0], task, jnp.ones(len(task)))


class Listed(Problems):
    """A world that knows all its problems: their codes lie sorted by task, held-out ones after the others."""

    codes: Int[Array, " problems"]
    first: Int[Array, "tasks 2"]
    count: Int[Array, "tasks 2"]

    def read(self, code: Int[Array, " n"]) -> Int[Array, "n prompt"]:
        """Return the problems that codes stand for."""
        raise NotImplementedError

    def pose(
        self, task: Int[Array, "*n"], n: int, *, key: PRNGKeyArray, held_out: bool = False
    ) -> Int[Array, "n prompt"]:
        """Return `n` problems of a task, or one of each task given; drawn with replacement."""
        task, part = jnp.broadcast_to(task, (n,)), int(held_out)
        place = jax.random.randint(key, (n,), 0, self.count[task, part])
        return self.read(self.codes[self.first[task, part] + place])

    def exam_set(self, task: Int[Array, ""] | int, n: int) -> Int[Array, "n prompt"]:
        """Return `n` held-out problems of one task, always the same; none comes twice before all have come once."""
        size, number = self.count[task, 1], jnp.arange(n)
        place = shuffled(number % size, size, number // size, jnp.uint32(HELD_OUT))
        return self.read(self.codes[self.first[task, 1] + place])


Few = TypeVar("Few", bound=Listed)


def listed(
    codes: Int[np.ndarray, " problems"],
    task: Int[np.ndarray, " problems"],
    held_out: Bool[np.ndarray, " problems"],
    tasks: int,
) -> tuple[Int[Array, " problems"], Int[Array, "tasks 2"], Int[Array, "tasks 2"]]:
    """Return codes sorted by task and part, where each part begins, and how long it is.

    Raises BadInput where a task has no problem to teach or none to ask.
    """
    part = 2 * task + held_out
    count = np.bincount(part, minlength=2 * tasks)
    if (count == 0).any():
        empty = int(np.argmin(count))
        what = "ask in exams" if empty % 2 else "teach"
        raise BadInput(f"task {empty // 2} of {tasks} has no problem to {what}; choose options that leave some")
    first = np.cumsum(count) - count
    order = np.argsort(part, kind="stable")
    of_parts = [jnp.asarray(part.reshape(tasks, 2), jnp.int32) for part in (first, count)]
    return jnp.asarray(codes[order], jnp.int32), of_parts[0], of_parts[1]


def few(world: Few, problems: int) -> Few:
    """Return a world that teaches only so many problems of every task, chosen by their hashes; exams stay as they are.

    Raises BadInput where a task has fewer.
    """
    codes, first, count = (np.array(part) for part in (world.codes, world.first, world.count))
    if not 1 <= problems <= count[:, 0].min():
        raise BadInput(f"every task teaches 1 … {count[:, 0].min()} problems, and {problems} were asked for")
    for start, size in zip(first[:, 0], count[:, 0], strict=True):
        taught = codes[start : start + size]
        codes[start : start + size] = taught[np.argsort(hashed(taught), kind="stable")]
    count[:, 0] = problems
    parts = (jnp.asarray(codes), jnp.asarray(count))
    return eqx.tree_at(lambda world: (world.codes, world.count), world, parts)


def hashed(codes: Int[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
    """Return numbers below 2³² that look random (the finalizer of MurmurHash3)."""
    word = np.asarray(codes, np.uint32) + np.uint32(0x9E3779B9)
    word = (word ^ (word >> 16)) * np.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * np.uint32(0xC2B2AE35)
    return (word ^ (word >> 16)).astype(np.int64)


def is_held_out(codes: Int[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """Return which problems are never taught."""
    return hashed(codes) % HELD_OUT == 0


def after(tokens: Int[Array, "n length"], mark: int, places: int) -> Int[Array, "n places"]:
    """Return the tokens that follow the first `mark` in every row; blanks where there are none."""
    there = tokens == mark
    start = jnp.where(there.any(-1), jnp.argmax(there, -1), tokens.shape[1])
    place = start[:, None] + 1 + jnp.arange(places)
    found = jnp.take_along_axis(tokens, jnp.minimum(place, tokens.shape[1] - 1), 1)
    return jnp.where(place < tokens.shape[1], found, -1)
