"""Mastery teaching: what comes next is decided by what is known, traced from how lessons went."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput, Mismatch
from lifelong.exams.tracing import BKT, SURE, Advice, Adviser
from lifelong.recipe import number
from lifelong.worlds import Lesson, PracticeLog

from ._teacher import Teacher

PROBABILITIES = ("prior", "learn", "forget", "guess", "slip", "fade")


class Mastery(NamedTuple):
    """What the teacher believes: the probability that each task is known, and the lessons given of each."""

    known: Float[Array, " tasks"]
    lessons: Int[Array, " tasks"]


class MasteryTeacher(Teacher):
    """Trace what is known of every task by Bayesian knowledge tracing, and give a lesson in the one that needs it most.

    With p the probability that a task is known and a ∈ [0, 1] how a lesson in it went,

        p | a = p·(1−slip)ᵃ·slip¹⁻ᵃ / (p·(1−slip)ᵃ·slip¹⁻ᵃ + (1−p)·guessᵃ·(1−guess)¹⁻ᵃ)
        p ← (p | a)·(1−forget) + (1 − p | a)·learn        the lesson's task
        p ← p·(1−fade)                                    all other tasks

    so a right or wrong answer is that of Corbett and Anderson (1995), and the share of right answers in a batch counts
    as much as one answer. Without grade (NaN, or below 0) there is no evidence. People's models have fade = 0; networks forget
    what they are not taught.

    Lives through `live` (`tell` hears the accuracy on the batch), and advises on a log of practice by `recommend`. Numbers
    are one for all tasks, or one each; `of` takes them from a fitted `BKT`.

    Args:
        tasks: how many tasks.
        rule: 'in order' gives the first task below `enough`, and the least known one where all are above it (mastery
            learning, Bloom 1968); 'weakest' always the least known; 'gain' the one whose mastery a lesson is expected to
            raise most, (1−p)·learn − p·forget. Of equals the first.
        hears: the name of what learning reports.
        prior, learn, forget, guess, slip, fade: the chain; the first five are usual in tutoring (0.4, 0.15, 0, 0.2, 0.1).
        enough: the mastery from which a task needs no lessons, 0.95 (Corbett and Anderson 1995, section 2).

    Raises BadInput for numbers that are no probabilities, that fit neither one nor all tasks, or with which a right
    answer speaks against knowing (1 − slip < guess).
    """

    prior: Float[Array, "..."] = number(0.4)
    learn: Float[Array, "..."] = number(0.15)
    forget: Float[Array, "..."] = number(0.0)
    guess: Float[Array, "..."] = number(0.2)
    slip: Float[Array, "..."] = number(0.1)
    fade: Float[Array, "..."] = number(0.0)
    enough: Float[Array, "..."] = number(SURE)
    tasks: int = eqx.field(static=True, default=10)
    rule: Literal["in order", "weakest", "gain"] = eqx.field(static=True, default="in order")
    hears: str = eqx.field(static=True, default="accuracy")

    def __check_init__(self):
        if self.tasks < 1:
            raise BadInput(f"a teacher needs at least 1 task, not {self.tasks}")
        if self.rule not in ("in order", "weakest", "gain"):
            raise BadInput(f"the rule must be 'in order', 'weakest' or 'gain', not '{self.rule}'")
        for name in (*PROBABILITIES, "enough"):
            self._check_number(name, getattr(self, name))
        if not isinstance(self.guess + self.slip, Tracer) and bool(jnp.any(self.guess + self.slip > 1)):
            raise BadInput("with guess + slip above 1 a right answer would speak against knowing the task")

    def _check_number(self, name: str, value: Array) -> None:
        if value.shape not in ((), (self.tasks,)):
            raise BadInput(f"{name} is one number, or one for each of {self.tasks} tasks; its shape is {value.shape}")
        if not isinstance(value, Tracer) and not bool(jnp.all((value >= 0) & (value <= 1))):
            raise BadInput(f"{name} is a probability, between 0 and 1, and it is {value}")

    @classmethod
    def of(cls, fitted: BKT, **others: Any) -> "MasteryTeacher":
        """Return the teacher with the chain of a fitted model, one task a skill; `others` as in the class.

        Raises BadInput where the model has not been fitted.
        """
        if fitted.vocabulary is None:
            raise BadInput("this BKT has not been fitted: call fit(log) first")
        chain = {name: values[:-1] for name, values in fitted.parameters._asdict().items()}
        return cls(tasks=len(fitted.vocabulary.skills), **chain | others)

    def init(self, *, key: PRNGKeyArray) -> Mastery:
        """Return what is believed before the first lesson."""
        return Mastery(jnp.broadcast_to(self.prior, (self.tasks,)), jnp.zeros(self.tasks, jnp.int32))

    def ask(self, plan: Mastery, *, key: PRNGKeyArray) -> tuple[Lesson, Mastery]:
        """Return a lesson in the task that needs it most."""
        task = jnp.argmax(self.need(plan.known)).astype(jnp.int32)
        return Lesson(task, plan.lessons[task]), plan._replace(lessons=plan.lessons.at[task].add(1))

    def tell(self, plan: Mastery, lesson: Lesson, outcome: Any, *, key: PRNGKeyArray) -> Mastery:
        """Return what is believed after a lesson: `outcome` is what learning reported, or how it went, from 0 to 1."""
        if isinstance(outcome, Mapping):
            if self.hears not in outcome:
                raise Mismatch(
                    f"this teacher hears of '{self.hears}', and learning reports {', '.join(outcome) or 'nothing'}; "
                    "build it with hears=… one of these, a share of right answers"
                )
            outcome = outcome[self.hears]
        practised = jnp.arange(self.tasks) == lesson.task
        return plan._replace(known=self.heard(plan.known, practised, jnp.asarray(outcome, jnp.float32)))

    def need(self, known: Float[Array, " tasks"]) -> Float[Array, " tasks"]:
        """Return how much each task needs the next lesson; only the order counts."""
        if self.rule == "gain":
            return (1 - known) * self.learn - known * self.forget
        if self.rule == "weakest":
            return 1 - known
        first = self.tasks - jnp.arange(self.tasks)
        return jnp.where(known < self.enough, 1.0 + first, 1 - known)

    def heard(
        self, known: Float[Array, " tasks"], practised: Bool[Array, " tasks"], outcome: Float[Array, ""]
    ) -> Float[Array, " tasks"]:
        """Return mastery after a lesson in the tasks marked went so well."""
        graded = jnp.isfinite(outcome) & (outcome >= 0)
        a = jnp.where(graded, outcome, 0.0)
        if_known = jnp.where(graded, (1 - self.slip) ** a * self.slip ** (1 - a), 1.0)
        if_not = jnp.where(graded, self.guess**a * (1 - self.guess) ** (1 - a), 1.0)
        both = known * if_known
        seen = both / jnp.maximum(both + (1 - known) * if_not, 1e-12)
        moved = seen * (1 - self.forget) + (1 - seen) * self.learn
        return jnp.where(practised, moved, known * (1 - self.fade))

    def trace(self, log: PracticeLog) -> Float[np.ndarray, "students tasks"]:
        """Return what every student of a log knows after the last row; tasks are the log's skills, in their order.

        Raises Mismatch where the log has another number of skills.
        """
        if len(log.vocabulary.skills) != self.tasks:
            raise Mismatch(f"{log.name} has {len(log.vocabulary.skills)} skills, and this teacher {self.tasks} tasks; "
                           "build it with as many")  # fmt: skip
        practised = (log.skill[:, :, None] == np.arange(self.tasks)).any(axis=1)
        start = self.init(key=jax.random.key(0)).known
        rows = map(jnp.asarray, (log.student, practised, log.outcome.astype(np.float32)))
        return np.asarray(_follow(self, start, jnp.asarray(log.starts), *rows))

    def recommend(self, log: PracticeLog, student: str, count: int = 5) -> list[Advice]:
        """Return the skills that a student of a log needs most, by this teacher's rule, with exercises and the reason.

        Raises UnknownName where the log has no such student, Mismatch as `trace` does.
        """
        code = log.code_of(student)
        known = self.trace(log)[code]
        return Adviser(log, self._worth).advise(code, known, np.asarray(self.need(jnp.asarray(known))), count)

    def _worth(self, known: float, need: float) -> str:
        return (
            "below the mastery asked for" if self.rule == "in order" and need > 1 else f"needed most by '{self.rule}'"
        )


@eqx.filter_jit
def _follow(
    teacher: MasteryTeacher,
    start: Float[Array, " tasks"],
    starts: Int[Array, " bounds"],
    student: Int[Array, " rows"],
    practised: Bool[Array, "rows tasks"],
    outcome: Float[Array, " rows"],
) -> Float[Array, "students tasks"]:
    def step(table: Array, row: tuple[Array, Array, Array]) -> tuple[Array, None]:
        student, practised, outcome = row
        return table.at[student].set(teacher.heard(table[student], practised, outcome)), None

    table = jnp.broadcast_to(start, (len(starts) - 1, len(start)))
    return jax.lax.scan(step, table, (student, practised, outcome))[0]
