"""Advice in words or numbers, from a script, from something learned, or from a chat model."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool

from lifelong.errors import BadInput


class Adviser:
    """Someone to ask. A subclass answers in words (`answer`); the rest reads numbers, choices and tables out of them."""

    name = "adviser"

    def answer(self, question: str) -> str:
        """Return the answer to a question, in words."""
        raise NotImplementedError

    def number(self, question: str, low: float | int = -np.inf, high: float | int = np.inf) -> float:
        """Return the last number of an answer; raise `BadInput` where there is none between the bounds."""
        answer = self.answer(question)
        found = re.findall(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", answer)
        if not found or not low <= float(found[-1]) <= high:
            raise _unusable(self, f"a number from {low:g} to {high:g}", answer)
        return float(found[-1])

    def choice(self, question: str, options: Sequence[str]) -> str:
        """Return the one option that an answer names; raise `BadInput` where it names none or several."""
        answer = self.answer(f"{question}\nAnswer with one of: {', '.join(options)}.")
        named = [option for option in options if re.search(rf"(?<!\w){re.escape(option)}(?!\w)", answer, re.IGNORECASE)]
        if len(named) != 1:
            raise _unusable(self, f"one of {', '.join(options)}", answer)
        return named[0]

    def interesting(self, names: Sequence[str]) -> Bool[np.ndarray, "tasks tasks"]:
        """Return [a, b]: whether task b is interesting to who does a well; `OMNI` takes this method as it is.

        One question for each task, about all others at once (Zhang et al. 2023, arXiv:2306.01711). Raises `BadInput` for an
        answer that is no list of the tasks' numbers.
        """
        listing = "\n".join(f"{i}. {name}" for i, name in enumerate(names))
        table = np.ones((len(names), len(names)), bool)
        for a, name in enumerate(names):
            answer = self.answer(
                f"A learner can choose from these tasks:\n{listing}\nIt already does '{name}' well. Which of the tasks teach "
                "it nothing new? Answer with their numbers, separated by commas, or with 'none'."
            )
            boring = _numbers_in(answer, len(names))
            if boring is None:
                raise _unusable(self, f"numbers from 0 to {len(names) - 1}, or 'none'", answer)
            table[a, [b for b in boring if b != a]] = False
        return table


class Scripted(Adviser):
    """Answers written by hand: by question, or by a function of the question.

    Raises `BadInput` for a question that has no answer.
    """

    name = "script"

    def __init__(self, answers: Mapping[str, str] | Callable[[str], str]):
        self.answers = answers

    def answer(self, question: str) -> str:
        """Return what is written."""
        if not isinstance(self.answers, Mapping):
            return self.answers(question)
        if question not in self.answers:
            raise BadInput(f"the script has no answer to this question: {shortened(question)}")
        return self.answers[question]


@runtime_checkable
class Predictor(Protocol):
    """What predicts one label or number for each text, such as a scikit-learn pipeline with a vectorizer."""

    def predict(self, texts: Sequence[str], /) -> Any:
        """Return a prediction for each text."""
        ...


class Learned(Adviser):
    """Answers of something that was fitted to questions and answers: a `Pipeline` of scikit-learn, say."""

    name = "learned"

    def __init__(self, predictor: Predictor):
        self.predictor = predictor

    def answer(self, question: str) -> str:
        """Return its prediction, as text."""
        return str(np.asarray(self.predictor.predict([question]))[0])


def shortened(text: str, most: int = 120) -> str:
    """Return a text in one line that is not too long for a sentence about it."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _numbers_in(answer: str, count: int) -> list[int] | None:
    """Return the whole numbers of an answer, none for 'none', or None where it cannot be understood."""
    found = [int(number) for number in re.findall(r"(?<![\w.])\d+(?!\.?\w)", answer)]
    if not found:
        return [] if re.search(r"\bnone\b", answer, re.IGNORECASE) else None
    return found if max(found) < count else None


def _unusable(adviser: Adviser, wanted: str, answer: str) -> BadInput:
    return BadInput(
        f"the {adviser.name} was asked for {wanted}, and answered: '{shortened(answer)}'; ask more precisely, or ask another"
    )
