"""The one entry point: a learner, a world and a teacher live together, and an exam says what has been learned."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from lifelong.errors import BadInput, Mismatch
from lifelong.exams import Accuracy, Exam, Returns
from lifelong.learners import Learner
from lifelong.teachers import Searching, Teacher
from lifelong.worlds import Environment, World, task_space

from . import _programs as programs
from ._abreast import Abreast, on_host, together
from ._checkpoint import check_writable, fingerprint, load_checkpoint, pack, save_checkpoint, unpack
from ._lanes import Lanes, lay_out
from ._life import Life, Result
from ._programs import CAPACITY, Parts
from ._progress import Moment, Pace, Progress, on_stderr


def live(
    learner: Learner,
    world: World,
    teacher: Teacher,
    exam: Exam | None = None,
    *,
    steps: int,
    seeds: int | Sequence[int] = 16,
    key: PRNGKeyArray | None = None,
    sweep: Mapping[str, Sequence[float]] | None = None,
    every: int | None = None,
    at_ends: bool = True,
    record: int = 1,
    checkpoint: str | Path | None = None,
    save_every: float = 30.0,
    progress: Progress = on_stderr,
) -> Life:
    """Live a whole life, once for every seed and swept value, compiled.

    In each step the teacher is asked for a lesson, the learner meets it and learns from it, and the teacher is told how
    it went. Exams are sat before the first step, at the end of each task the teacher announces, after the last step,
    and every `every` steps.

    Day-to-day arguments:
        learner, world, teacher, exam: who takes part; the exam is `Accuracy()` unless stated, `Returns()` in a world to act in.
        steps: how many steps to live.
        seeds: how many seeds, or which.
        sweep: values for hyperparameters by their path, e.g. {"memory.strength": [0, 10, 100]}; all combinations.

    Other arguments:
        key: the root of all randomness; lanes fold their seed into it.
        every: sit the exam every so many steps besides.
        at_ends: whether the exam is sat at the ends of tasks; where tasks are many and short, it may cost more than living.
        record: keep what learning reports of every `record`-th step.
        checkpoint: a file to save to (at most every `save_every` seconds, and when interrupted) and to resume from; a
            resumed life ends bit for bit as an uninterrupted one.
        progress: called with a `Moment` after every chunk.

    Raises `BadInput` or `Mismatch` before anything runs where the parts do not fit; `BadFile` where the checkpoint is
    corrupt, of another life, or cannot be written. A lane that diverges is reported and the others live on. Ctrl-C saves
    and returns what has been lived so far.
    """
    exam = exam or (Returns() if isinstance(world, Environment) else Accuracy())
    parts = Parts(learner, world, teacher, exam)
    _check(parts, steps, every, record)
    key = jax.random.key(0) if key is None else key
    lanes = lay_out(parts, seeds, sweep or {}, key)
    run = _Run(parts, lanes, steps, every, at_ends, record)
    path = Path(checkpoint) if checkpoint else None
    if path:
        check_writable(path)
    if path and path.exists():
        run.load(path)
    return run.live(path, save_every, progress)


def _check(parts: Parts, steps: int, every: int | None, record: int) -> None:
    for name, value in {"steps": steps, "every": every, "record": record}.items():
        if value is not None and not isinstance(value, int | np.integer):
            raise BadInput(f"{name} must be a whole number, not {value!r}")
        if value is not None and value < 1:
            raise BadInput(f"{name} must be at least 1, not {value}")
    taught = getattr(parts.teacher, "tasks", 0)
    if taught > parts.world.tasks:
        raise Mismatch(
            f"{type(parts.teacher).__name__} teaches {taught} tasks, and {type(parts.world).__name__} has "
            f"{parts.world.tasks}; build the teacher with tasks={parts.world.tasks}"
        )
    there = getattr(parts.world, "space", None)
    if isinstance(parts.teacher, Searching) and there is not None:
        parts.teacher.space.check_within(task_space(there))


class _Lived(NamedTuple):
    """What has been lived, replaced as a whole: an interruption finds it as it was before a chunk or as it is after."""

    step: int
    state: Any
    """That of all lanes; None before the first step."""
    finite: np.ndarray
    """Whether each lane's state is finite now."""
    diverged: np.ndarray
    """The first look-up at which it was not, −1 for none: where look-ups are does not depend on how chunks were cut."""
    exams: tuple[dict[str, np.ndarray], ...] = ()
    records: tuple[dict[str, np.ndarray], ...] = ()


class _Run:
    """A life on its way: what the host keeps between chunks."""

    def __init__(self, parts: Parts, lanes: Lanes, steps: int, every: int | None, at_ends: bool, record: int):
        self.parts, self.lanes, self.steps, self.record = parts, lanes, steps, record
        self.call = Abreast(lanes)
        self.examine = self.call if parts.exam.whole else Abreast(lanes.examined())
        self.ends = {end for end in parts.teacher.boundaries(steps) if end <= steps}
        self.sat_ends = self.ends if at_ends else set()
        self.sittings = {0, steps} | self.sat_ends | set(range(every, steps, every) if every else ())
        self.identity = (steps, every, at_ends, record)
        self.lived = _Lived(-1, None, np.full(lanes.count, True), np.full(lanes.count, -1))

    def live(self, path: Path | None, save_every: float, progress: Progress) -> Life:
        """Live on to the last step, saving on the way; return what was lived, finished or not."""
        pace, saved, interrupted = Pace(), time.perf_counter(), False
        try:
            self._begin()
            while self.lived.step < self.steps:
                self._chunk(pace)
                if path and time.perf_counter() - saved > save_every:
                    self.save(path)
                    saved = time.perf_counter()
                progress(self._moment(pace))
        except KeyboardInterrupt:
            interrupted = True
        if path and self.lived.step >= 0:
            self.save(path)
        return self._life(interrupted and self.lived.step < self.steps)

    def _moment(self, pace: Pace) -> Moment:
        diverged = int(((self.lived.diverged >= 0) | ~self.lived.finite).sum())
        return Moment(self.lived.step, self.steps, pace.seconds, self.lanes.count, diverged)

    def _begin(self) -> None:
        if self.lived.step < 0:
            self.lived = self._look_up(self.lived._replace(step=0, state=self.call(programs.begin, None)))

    def _chunk(self, pace: Pace) -> None:
        """Advance to the next look-up, or as far as fits the pace and the record."""
        start, began = self.lived.step, time.perf_counter()
        ahead = min(end for end in self.sittings | self.ends if end > start)
        room = CAPACITY * self.record - start % self.record
        stop = min(ahead, start + pace.steps, start + room)
        numbers = map(np.int32, (start, stop, self.record))
        state, records, finite = self.call(programs.advance, self.lived.state, *numbers)
        kept = stop // self.record - start // self.record
        records = {name: values[:, :kept] for name, values in on_host(records).items()}
        lived = self.lived._replace(step=stop, state=state, finite=on_host(finite))
        pace.measured(stop - start, time.perf_counter() - began)
        self.lived = self._look_up(lived._replace(records=(*lived.records, records)))

    def _look_up(self, lived: _Lived) -> _Lived:
        """Do what is due at a step: tell of the end of a task, sit the exam."""
        step, state, diverged = lived.step, lived.state, lived.diverged
        if step in self.ends and self.parts.learner.consolidates:
            state = self.call(programs.consolidate, state, np.int32(step))
        if step not in self.sittings:
            return lived._replace(state=state)
        diverged = np.where((diverged < 0) & ~lived.finite, step, diverged)
        sat = {name: _blank(values, diverged >= 0) for name, values in self._sit(state, step).items()}
        return lived._replace(state=state, diverged=diverged, exams=(*lived.exams, sat))

    def _sit(self, state: Any, step: int) -> dict[str, np.ndarray]:
        """Return what the exam finds in every lane, and which task was taught last."""
        taught = on_host(state.taught)
        if not self.parts.exam.whole:
            state = state.examined(self.parts.learner)
        return {**on_host(self.examine(programs.sit, state, np.int32(step))), "taught": taught}

    def _life(self, interrupted: bool) -> Life:
        """Gather what was lived."""
        lived = self.lived
        results = [
            Result.diverged if at >= 0 else Result.interrupted if interrupted else Result.finished
            for at in lived.diverged
        ]
        return Life(
            dims=self.lanes.dims,
            exams=_join(lived.exams, np.stack),
            records=_join(lived.records, np.concatenate),
            exam_steps=np.asarray(self._sat(), int),
            record_steps=np.arange(self.record, lived.step + 1, self.record),
            ends=np.asarray(sorted(end for end in self.sat_ends if end <= lived.step), int),
            exam_dims=self.parts.exam.dims,
            results=results,
            diverged_at=lived.diverged,
            state=together(lived.state),
        )

    def _sat(self) -> list[int]:
        return sorted(step for step in self.sittings if step <= self.lived.step)

    def _fingerprint(self) -> str:
        return fingerprint(self.parts, self.lanes.swept, self.lanes.keys, self.identity)

    def save(self, path: Path) -> None:
        """Write the checkpoint."""
        lived = self.lived
        tensors = pack(lived.state) | {
            "step": np.asarray(lived.step),
            "diverged": lived.diverged,
            "finite": lived.finite,
        }
        tensors |= {f"exam.{name}": values for name, values in _join(lived.exams, np.stack).items()}
        tensors |= {f"record.{name}": values for name, values in _join(lived.records, np.concatenate).items()}
        save_checkpoint(path, tensors, self._fingerprint())

    def load(self, path: Path) -> None:
        """Take over from a checkpoint of this very life."""
        like = self.call(programs.begin, None)
        tensors = load_checkpoint(path, self._fingerprint(), pack(like))
        lived = _Lived(int(tensors["step"]), unpack(tensors, like), tensors["finite"], tensors["diverged"])
        exams = {name[5:]: values for name, values in tensors.items() if name.startswith("exam.")}
        records = {name[7:]: values for name, values in tensors.items() if name.startswith("record.")}
        self.lived = lived._replace(records=(records,) if records else ())
        sat = range(len(self._sat()))
        self.lived = self.lived._replace(
            exams=tuple({name: values[:, i] for name, values in exams.items()} for i in sat)
        )


def _blank(values: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """Return exam results with those of diverged lanes undefined."""
    values = values.astype(np.float32) if not np.issubdtype(values.dtype, np.floating) else values.copy()
    values[diverged] = np.nan
    return values


def _join(parts: Sequence[dict[str, np.ndarray]], how) -> dict[str, np.ndarray]:
    """Join named arrays of successive moments along the second axis."""
    return {name: how([part[name] for part in parts], axis=1) for name in (parts[0] if parts else ())}
