"""What a life leaves behind."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, PyTree

from lifelong.errors import BadInput, UnknownName

if TYPE_CHECKING:
    import xarray as xr

    from ._plot import Plots


class Result(Enum):
    """How a lane's life ended; the value is the sentence."""

    finished = "The life was lived to its last step."
    interrupted = "The life was interrupted; live it again with the same checkpoint to go on from there."
    diverged = "The learner's state stopped being finite; its exams from then on are undefined (NaN)."

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Life:
    """The record of one call of `live`: exams, what learning reported, how every lane ended, and the final state.

    Arrays have the lane dimensions first (swept values, then `seed`); `exams[name]` goes on with `exam` and the exam's
    own dimensions, `records[name]` with `step`. `diverged_at` is the step of the first exam at which the state of a lane
    was not finite, −1 for none.
    """

    dims: Mapping[str, np.ndarray]
    exams: Mapping[str, np.ndarray]
    records: Mapping[str, np.ndarray]
    exam_steps: np.ndarray
    record_steps: np.ndarray
    ends: np.ndarray
    exam_dims: Mapping[str, tuple[str, ...]]
    results: list[Result]
    diverged_at: np.ndarray
    state: PyTree

    def __post_init__(self):
        shape = tuple(len(values) for values in self.dims.values())

        def lanes_first(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: values.reshape(*shape, *values.shape[1:]) for name, values in arrays.items()}

        object.__setattr__(self, "exams", lanes_first(self.exams))
        object.__setattr__(self, "records", lanes_first(self.records))

    @property
    def finished(self) -> bool:
        """Whether no lane was interrupted."""
        return Result.interrupted not in self.results

    def whole(self) -> "Life":
        """Return this life if it was lived to its end, and hand the interruption on (`KeyboardInterrupt`) if not."""
        if not self.finished:
            raise KeyboardInterrupt
        return self

    @property
    def matrix(self) -> Float[np.ndarray, "*lanes exam task"]:
        """Accuracy on every task (last axis) after every finished task (second to last axis)."""
        return self.after_tasks("accuracy")

    @property
    def baseline(self) -> Float[np.ndarray, "*lanes task"]:
        """Accuracy on every task before the first step."""
        return self._exam("accuracy")[..., 0, :]

    @property
    def final(self) -> Float[np.ndarray, "*lanes"]:
        """Mean accuracy over all tasks after the last step."""
        return self._exam("accuracy")[..., -1, :].mean(-1)

    def after_tasks(self, name: str) -> np.ndarray:
        """Return one exam result at the ends of tasks only; raise `BadInput` where the teacher announced none."""
        if not len(self.ends):
            raise BadInput(
                "this life had no announced ends of tasks with an exam, so it has no task matrix; read `exams` instead"
            )
        places = np.searchsorted(self.exam_steps, self.ends)
        return np.take(self._exam(name), places, axis=len(self.dims))

    def _exam(self, name: str) -> np.ndarray:
        if name not in self.exams:
            raise UnknownName("exam result", name, self.exams)
        return self.exams[name]

    def to_xarray(self) -> "xr.Dataset":
        """Return exams and records as one labelled data set with dims such as (seed, exam, task) and (seed, step)."""
        import xarray as xr

        lanes, variables = tuple(self.dims), {}
        for name, values in self.exams.items():
            own = self.exam_dims.get(name) or tuple(f"{name}_{i}" for i in range(values.ndim - len(lanes) - 1))
            variables[name] = ((*lanes, "exam", *own), values)
        for name, values in self.records.items():
            own = tuple(f"{name}_{i}" for i in range(values.ndim - len(lanes) - 1))
            variables[f"learning_{name}"] = ((*lanes, "step", *own), values)
        shape = tuple(len(values) for values in self.dims.values())
        variables["diverged_at"] = (lanes, self.diverged_at.reshape(shape))
        coordinates = {**self.dims, "exam": self.exam_steps, "step": self.record_steps}
        return xr.Dataset(variables, coordinates, attrs={"ends": self.ends, "finished": int(self.finished)})

    @property
    def plot(self) -> "Plots":
        """Pictures: `life.plot.matrix()`, `life.plot.curves()`."""
        from ._plot import Plots

        return Plots(self)

    def summary(self) -> dict[str, Any]:
        """Return what a reader wants first: lanes, how they ended, mean final accuracy with its 95 % interval.

        The mean is NaN, and there is no interval, where a lane diverged; a single lane has no interval either.
        """
        from lifelong.exams import mean_interval

        ended = {result.name: self.results.count(result) for result in Result if result in self.results}
        steps = int(self.exam_steps[-1]) if len(self.exam_steps) else 0
        summary: dict[str, Any] = {"lanes": len(self.results), "steps": steps, "ended": ended}
        if "accuracy" in self.exams:
            summary["final accuracy"] = float(self.final.mean())
            if self.final.size > 1 and np.isfinite(self.final).all():
                interval = mean_interval(self.final.ravel())
                summary["95 % interval"] = (interval.low, interval.high)
        return summary

    def __repr__(self) -> str:
        return f"Life({', '.join(f'{name}={value}' for name, value in self.summary().items())})"

    def _repr_html_(self) -> str:
        from ._plot import as_html

        return as_html(self)
