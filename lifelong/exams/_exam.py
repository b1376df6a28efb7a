"""What every exam can do."""

import equinox as eqx
from jaxtyping import Array, PRNGKeyArray, PyTree

from lifelong.keys import key_for
from lifelong.worlds import World


class Exam(eqx.Module):
    """A way of finding out what has been learned, without changing it."""

    def sit(self, state: PyTree, learner: PyTree, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return named results, each an array whose dimensions `dims` names."""
        raise NotImplementedError

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of each result, for labelled records."""
        return {}

    @property
    def whole(self) -> bool:
        """Whether it may look at all of a learner and its state; if not, at what `Learner.examinee` leaves."""
        return True


class Several(Exam):
    """Several exams at one sitting; their results must have different names."""

    exams: tuple[Exam, ...]

    def sit(self, state: PyTree, learner: PyTree, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return the results of all of them."""
        results = {}
        for i, exam in enumerate(self.exams):
            results |= exam.sit(state, learner, world, key=key_for(key, "exam", i))
        return results

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """The dimensions of all results."""
        return {name: dims for exam in self.exams for name, dims in exam.dims.items()}

    @property
    def whole(self) -> bool:
        """Whether one of them looks at all of a learner."""
        return any(exam.whole for exam in self.exams)


def several(*exams: Exam) -> Several:
    """Combine exams: `several(Accuracy(), Flatness())`."""
    return Several(tuple(exams))
