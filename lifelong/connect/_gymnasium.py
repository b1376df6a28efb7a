"""Any teacher for any parametrised Gymnasium environment."""

from collections.abc import Callable
from copy import deepcopy
from math import isfinite
from typing import Any

from lifelong.errors import BadInput, MissingExtra
from lifelong.life import Teaching
from lifelong.teachers import Teacher

try:
    from gymnasium import Wrapper
except ImportError as error:
    raise MissingExtra("teaching a Gymnasium environment", "gymnasium", "gymnasium") from error


class TeachGymnasium(Wrapper):
    """A Gymnasium environment whose every episode is of a task that a teacher asks for.

        environment = TeachGymnasium(gymnasium.make("BipedalWalker-v3"), teacher, change, low=-150, high=350)

    At `reset` a task is asked for and set; when the episode has ended, its return is told. An episode that is broken off by
    another `reset` is not told. The task and, at the end, the return stand in `info["task"]` and `info["task_return"]`.

    Args:
        env: the environment.
        teacher: a teacher, or one in a loop of its own already (`Teaching`).
        change: `change(environment, task)` sets a task before the reset; None: the task is handed to `reset` as
            `options={"task": task}`.
        low, high: returns that the teacher hears as 0 and as 1; what lies outside is clipped. As they are where not given.
        seed: the teacher's.
    """

    def __init__(
        self,
        env: Any,
        teacher: Teacher | Teaching,
        change: Callable[[Any, Any], None] | None = None,
        *,
        low: float | None = None,
        high: float | None = None,
        seed: int = 0,
    ):
        super().__init__(env)
        if (low is None) != (high is None) or (low is not None and high is not None and not low < high):
            raise BadInput(f"returns are heard between a low and a higher one, and these are {low} and {high}")
        self.teaching = teacher if isinstance(teacher, Teaching) else Teaching(teacher, seed)
        self.change, self.low, self.high = change, low, high
        self.task: Any = None
        self._return = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode of the next task."""
        self.task, self._return = self.teaching.ask(), 0.0
        if self.change is None:
            options = {**(options or {}), "task": self.task}
        else:
            self.change(self.env.unwrapped, self.task)
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "task": deepcopy(self.task)}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step; tell the teacher the return where it ends the episode.

        Raises `BadInput` for a reward that is not finite; the teacher is told nothing of that episode.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not isfinite(reward):
            raise BadInput(
                f"the environment's reward is {float(reward)} in an episode of the task {self.task}, of which the teacher was "
                "not told; rewards must be finite: mend the environment, or reset it and go on"
            )
        self._return += float(reward)
        info = {**info, "task": deepcopy(self.task)}
        if terminated or truncated:
            self.teaching.tell(self.task, self._heard(self._return))
            info["task_return"] = self._return
        return observation, reward, terminated, truncated, info

    def _heard(self, total: float) -> float:
        if self.low is None or self.high is None:
            return total
        return min(max((total - self.low) / (self.high - self.low), 0.0), 1.0)
