"""What every model of practice can do: one interface for students and networks, shaped like scikit-learn's."""

import warnings
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Bool, Float, PyTree

from lifelong.errors import BadInput, UnknownName
from lifelong.worlds import PracticeLog, Vocabulary

from ._marks import Marks, mark
from ._recommend import Advice, Adviser

_Tracer = TypeVar("_Tracer", bound="Tracer")


class DoubtfulFit(UserWarning):
    """A fit that predicts, but whose parameters should not be read as what they are called."""


@dataclass
class Tracer:
    """A model of how practice changes what a student knows.

    A tracer's fields are its settings. A subclass states three things, as functions of parameters, so that folds,
    restarts and seeds are lanes of one compiled program:

    - `learn(log, weights, seed)` fits parameters, one lane a row of `weights`;
    - `answer(parameters, log)` predicts every row from what the student did before it, and from nothing else;
    - `know(parameters, log, later)` says what each student knows of each skill.

    Parameters never belong to single students: a student is known by the rows of the log that is asked about, so fitted
    models answer for students they have not met. Codes of that log are those of the log fitted; skills and items that
    were not in it share the code after the last, so tables have `log.skill_codes` and `log.item_codes` rows, one more
    than there are names.
    """

    parameters: PyTree = field(init=False, default=None, repr=False, compare=False)
    vocabulary: Vocabulary | None = field(init=False, default=None, repr=False, compare=False)

    def learn(self, log: PracticeLog, weights: Float[np.ndarray, "lanes students"], *, seed: int) -> PyTree:
        """Return parameters with a leading axis of lanes.

        Lane i is fitted to students in proportion to `weights[i]`: 0 holds a student out. Randomness comes from `seed`
        and the lane's number.
        """
        raise NotImplementedError

    def answer(self, parameters: PyTree, log: PracticeLog) -> Float[np.ndarray, " rows"]:
        """Return the probability that each row is right, given all earlier rows of the student, and no later ones.

        `parameters` are those of one lane, without the leading axis. Ungraded rows have a prediction too.
        """
        raise NotImplementedError

    def know(self, parameters: PyTree, log: PracticeLog, later: float) -> Float[np.ndarray, "students skills"]:
        """Return in [0, 1] how well every student knows every skill of the vocabulary, `later` seconds after the end."""
        raise NotImplementedError

    def foresee(
        self, parameters: PyTree, log: PracticeLog, known: Bool[np.ndarray, " rows"]
    ) -> Float[np.ndarray, " rows"]:
        """Return `answer` where only the outcomes marked `known` may be used; times, skills and items may all be.

        Unless a subclass knows better, an outcome that is not known is an ungraded row.
        """
        return self.answer(parameters, log.hide(~known))

    def gain(self, parameters: PyTree, log: PracticeLog) -> Float[np.ndarray, "students skills"]:
        """Return how much one more attempt at each skill is worth to each student, in units of the model's own.

        Unless a subclass knows better, k·(1 − k) of what is known: most where success is neither sure nor hopeless.
        """
        k = self.know(parameters, log, 0.0)
        return k * (1 - k)

    def doubts(self, parameters: PyTree, vocabulary: Vocabulary) -> tuple[str, ...]:
        """Return a sentence for each way in which fitted parameters are degenerate."""
        return ()

    def check(self, log: PracticeLog) -> None:
        """Raise BadInput where this model cannot be fitted to a log at all."""
        if not log.graded.any():
            raise BadInput(f"{log.name} has no graded attempt, so there is nothing to fit")

    @property
    def name(self) -> str:
        """What the model is called in tables."""
        return type(self).__name__

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name, as scikit-learn's `clone` and its kin ask for them."""
        return {setting.name: getattr(self, setting.name) for setting in fields(self) if setting.init}

    def set_params(self: _Tracer, **settings: Any) -> _Tracer:
        """Change settings; raises UnknownName where there is none of a name."""
        for name, value in settings.items():
            if name not in self.get_params():
                raise UnknownName(f"setting of {self.name}", name, self.get_params())
            setattr(self, name, value)
        return self

    def fit(self: _Tracer, log: PracticeLog, *, seed: int = 0) -> _Tracer:
        """Fit to all students of a log; warns with `DoubtfulFit` where the outcome is degenerate."""
        self.check(log)
        lanes = self.learn(log, np.ones((1, len(log.students)), np.float32), seed=seed)
        self.parameters, self.vocabulary = lane_of(lanes, 0), log.vocabulary
        for doubt in self.doubts(self.parameters, self.vocabulary):
            warnings.warn(f"{self.name}: {doubt}", DoubtfulFit, stacklevel=2)
        return self

    def predict_proba(self, log: PracticeLog) -> Float[np.ndarray, " rows"]:
        """Return the probability that each row of a log is right, each from the student's earlier rows alone.

        Rows are in the order of the log; `log.row` says where each was in the source.
        """
        return self.answer(*self._asked(log))

    def forecast(self, log: PracticeLog, known: Bool[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """Return predictions that use the outcomes of the `known` rows alone: open loop, many steps ahead."""
        return self.foresee(*self._asked(log), known)

    def evaluate(self, log: PracticeLog) -> Marks:
        """Return AUC, accuracy, log-likelihood, Brier score and calibration on a log, attempt by attempt."""
        return mark(self.predict_proba(log), log)

    def mastery(self, log: PracticeLog, later: float = 0.0) -> Float[np.ndarray, "students skills"]:
        """Return in [0, 1] how well each student of a log knows each skill fitted, `later` seconds after the last row."""
        parameters, aligned = self._asked(log)
        return self.know(parameters, aligned, later)

    def recommend(self, log: PracticeLog, student: str, count: int = 5) -> list[Advice]:
        """Return the skills that one more attempt serves most, best first, each with exercises and the reason.

        Exercises are those that any student of the log was given. Raises UnknownName where it has no such student.
        """
        code = log.code_of(student)
        parameters, aligned = self._asked(log)
        alone = aligned.only(np.arange(len(log.students)) == code)
        known, gain = self.know(parameters, alone, 0.0)[0], self.gain(parameters, alone)[0]
        return Adviser(aligned, self.worth).advise(code, known, gain, count)

    def recommend_all(self, log: PracticeLog, count: int = 5) -> dict[str, list[Advice]]:
        """Return what `recommend` says for every student of a log."""
        parameters, aligned = self._asked(log)
        known, gain = self.know(parameters, aligned, 0.0), self.gain(parameters, aligned)
        adviser = Adviser(aligned, self.worth)
        return {name: adviser.advise(s, known[s], gain[s], count) for s, name in enumerate(log.students)}

    def worth(self, known: float, gain: float) -> str:
        """Say in words what one more attempt at a skill is worth, that is known and serves so much."""
        return "neither sure nor hopeless" if 0.25 < known < 0.75 else "nearest to even chances of what is left"

    def _asked(self, log: PracticeLog) -> tuple[PyTree, PracticeLog]:
        if self.vocabulary is None:
            raise BadInput(f"this {self.name} has not been fitted: call fit(log) first")
        return self.parameters, log.align(self.vocabulary)


def lane_of(lanes: PyTree, number: int) -> PyTree:
    """Return the parameters of one lane."""
    return jax.tree.map(lambda leaf: leaf[number], lanes)
