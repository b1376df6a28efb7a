"""The one entry point: a learner, a world and a teacher live together, and an exam says what has been learned."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.exams import Accuracy, Exam
from lifelong.learners import Learner
from lifelong.teachers import Teacher
from lifelong.worlds import World

from . import _programs as programs
from ._checkpoint import fingerprint, load_checkpoint, pack, save_checkpoint, unpack
from ._lanes import Lanes, lay_out
from ._life import Life, Result
from ._programs import CAPACITY, LifeState, Parts
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
        learner, world, teacher, exam: who takes part; the exam is `Accuracy()` unless stated.
        steps: how many steps to live.
        seeds: how many seeds, or which.
        sweep: values for hyperparameters by their path, e.g. {"memory.strength": [0, 10, 100]}; all combinations.

    Other arguments:
        key: the root of all randomness; lanes fold their seed into it.
        every: sit the exam every so many steps besides.
        record: keep what learning reports of every `record`-th step.
        checkpoint: a file to save to (at most every `save_every` seconds, and when interrupted) and to resume from; a
            resumed life ends bit for bit as an uninterrupted one.
        progress: called with a `Moment` after every chunk.

    Raises `BadInput` or `Mismatch` before anything runs where the parts do not fit; `BadFile` where the checkpoint is
    corrupt or of another life. A lane that diverges is reported and the others live on. Ctrl-C saves and returns what
    has been lived so far.
    """
    _check(steps, every, record)
    parts = Parts(learner, world, teacher, exam or Accuracy())
    key = jax.random.key(0) if key is None else key
    lanes = lay_out(parts, seeds, sweep or {}, key)
    run = _Run(parts, lanes, steps, every, record)
    path = Path(checkpoint) if checkpoint else None
    if path and path.exists():
        run.load(path)
    return run.live(path, save_every, progress)


def _check(steps: int, every: int | None, record: int) -> None:
    for name, value in {"steps": steps, "every": every, "record": record}.items():
        if value is not None and value < 1:
            raise BadInput(f"{name} must be at least 1, not {value}")


class _Run:
    """A life on its way: what the host keeps between chunks."""

    def __init__(self, parts: Parts, lanes: Lanes, steps: int, every: int | None, record: int):
        self.parts, self.lanes, self.steps, self.record = parts, lanes, steps, record
        self.ends = {end for end in parts.teacher.boundaries(steps) if end <= steps}
        self.sittings = {0, steps} | self.ends | set(range(every, steps, every) if every else ())
        self.identity = (steps, every, record)
        self.step = -1
        self.state: LifeState | None = None
        self.records: list[dict[str, np.ndarray]] = []
        self.exams: list[dict[str, np.ndarray]] = []
        self.diverged = np.full(lanes.count, -1)

    def live(self, path: Path | None, save_every: float, progress: Progress) -> Life:
        """Live on to the last step, saving on the way; return what was lived, finished or not."""
        pace, saved, interrupted = Pace(), time.perf_counter(), False
        try:
            self._begin()
            while self.step < self.steps:
                self._chunk(pace)
                if path and time.perf_counter() - saved > save_every:
                    self.save(path)
                    saved = time.perf_counter()
                progress(Moment(self.step, self.steps, pace.seconds, self.lanes.count, int((self.diverged >= 0).sum())))
        except KeyboardInterrupt:
            interrupted = True
        if path and self.step >= 0:
            self.save(path)
        return self._life(interrupted)

    def _begin(self) -> None:
        if self.step < 0:
            self.state = self._call(programs.begin, None)
            self._look_up(0)

    def _chunk(self, pace: Pace) -> None:
        """Advance to the next look-up, or as far as fits the pace and the record."""
        start, began = self.step, time.perf_counter()
        ahead = min(end for end in self.sittings | self.ends if end > start)
        room = CAPACITY * self.record - start % self.record
        stop = min(ahead, start + pace.steps, start + room)
        numbers = (jnp.int32(start), jnp.int32(stop), jnp.int32(self.record))
        state, records, finite = self._call(programs.advance, self.state, *numbers)
        kept = stop // self.record - start // self.record
        records = {name: np.asarray(values)[:, :kept] for name, values in records.items()}
        self.diverged = np.where((self.diverged < 0) & ~np.asarray(finite), stop, self.diverged)
        pace.measured(stop - start, time.perf_counter() - began)
        self._look_up(stop, state, records)

    def _look_up(self, step: int, state: LifeState | None = None, records: dict | None = None) -> None:
        """Do what is due at a step, then take over the new state: an interruption leaves the old one whole."""
        state = self.state if state is None else state
        if step in self.ends and self.parts.learner.consolidates:
            state = self._call(programs.consolidate, state, jnp.int32(step))
        sat = None
        if step in self.sittings:
            results = self._call(programs.sit, state, jnp.int32(step))
            sat = {name: _blank(np.asarray(values), self.diverged >= 0) for name, values in results.items()}
        self.state, self.step = state, step
        self.records += [records] if records else []
        self.exams += [sat] if sat else []

    def _call(self, program, state, *rest):
        return program(self.lanes.swept, self.lanes.shared, self.lanes.keys, state, *rest)

    def _life(self, interrupted: bool) -> Life:
        """Gather what was lived."""
        times = sorted(t for t in self.sittings if t <= self.step)
        results = [
            Result.diverged if at >= 0 else Result.interrupted if interrupted else Result.finished
            for at in self.diverged
        ]
        return Life(
            dims=self.lanes.dims,
            exams=_join(self.exams, np.stack),
            records=_join(self.records, np.concatenate),
            exam_steps=np.asarray(times),
            record_steps=np.arange(self.record, self.step + 1, self.record),
            ends=np.asarray(sorted(end for end in self.ends if end <= self.step), int),
            exam_dims=self.parts.exam.dims,
            results=results,
            diverged_at=self.diverged,
            state=self.state,
        )

    def _fingerprint(self) -> str:
        return fingerprint(self.parts, self.lanes.swept, self.lanes.keys, self.identity)

    def save(self, path: Path) -> None:
        """Write the checkpoint."""
        tensors = pack(self.state) | {"step": np.asarray(self.step), "diverged": self.diverged}
        tensors |= {f"exam.{name}": values for name, values in _join(self.exams, np.stack).items()}
        tensors |= {f"record.{name}": values for name, values in _join(self.records, np.concatenate).items()}
        save_checkpoint(path, tensors, self._fingerprint())

    def load(self, path: Path) -> None:
        """Take over from a checkpoint of this very life."""
        tensors = load_checkpoint(path, self._fingerprint())
        self.state = unpack(tensors, like=self._call(programs.begin, None))
        self.step, self.diverged = int(tensors["step"]), tensors["diverged"].copy()
        exams = {name[5:]: values for name, values in tensors.items() if name.startswith("exam.")}
        records = {name[7:]: values for name, values in tensors.items() if name.startswith("record.")}
        self.exams = [{name: values[:, i] for name, values in exams.items()} for i in range(self._sat())]
        self.records = [records] if records else []

    def _sat(self) -> int:
        return sum(t <= self.step for t in self.sittings)


def _blank(values: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """Return exam results with those of diverged lanes undefined."""
    values = values.astype(np.float32) if not np.issubdtype(values.dtype, np.floating) else values.copy()
    values[diverged] = np.nan
    return values


def _join(parts: list[dict[str, np.ndarray]], how) -> dict[str, np.ndarray]:
    """Join named arrays of successive moments along the second axis."""
    return {name: how([part[name] for part in parts], axis=1) for name in (parts[0] if parts else ())}
