"""A teacher in a Gymnasium environment: tasks are set, returns are told, episodes broken off are not."""

import numpy as np
import pytest

from lifelong.connect import TeachGymnasium
from lifelong.errors import BadInput
from lifelong.teachers import InOrder
from lifelong.worlds import TaskBox, TaskList

gymnasium = pytest.importorskip("gymnasium")


class Steps(gymnasium.Env):
    """Two steps; each is worth the task's first number. The third try at a step would be too late."""

    observation_space = gymnasium.spaces.Box(-9.0, 9.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    slope = 0.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 2
        if options and "task" in options:
            self.slope = float(options["task"][0])
        return np.float32([self.slope]), {"known": True}

    def step(self, action):
        self.left -= 1
        return np.float32([self.slope]), self.slope, self.left == 0, False, {}


BOX = TaskBox([-4.0, 0.0], [4.0, 1.0])
ORDER = [[1.0, 0.5], [3.0, 0.5], [-4.0, 0.0]]


def set_slope(environment, task):
    environment.slope = float(task[0])


@pytest.mark.parametrize("change", [None, set_slope], ids=["by options", "by a function"])
def test_every_episode_is_of_the_task_asked_for_and_told(change):
    heard = []
    environment = TeachGymnasium(Steps(), InOrder(BOX, ORDER), change, low=0.0, high=4.0)
    tell = environment.teaching.tell
    environment.teaching.tell = lambda task, value: heard.append((*task, value)) or tell(task, value)
    for _ in ORDER:
        observation, info = environment.reset(seed=1)
        assert observation[0] == info["task"][0] and info["known"]
        environment.step(0)
        *_, terminated, _, info = environment.step(0)
        assert terminated and info["task_return"] == 2 * info["task"][0]
    assert heard == [(1.0, 0.5, 0.5), (3.0, 0.5, 1.0), (-4.0, 0.0, 0.0)]


def test_an_episode_broken_off_is_not_told():
    environment = TeachGymnasium(Steps(), InOrder(BOX, ORDER))
    for _ in range(3):
        _, info = environment.reset()
        environment.step(0)
        np.testing.assert_array_equal(info["task"], ORDER[0])
    assert environment.teaching.asked == 3 and environment.teaching.told == 0


@pytest.mark.parametrize(
    ("reward", "bounds"), [(np.nan, {}), (np.nan, {"low": 0, "high": 1}), (-np.inf, {"low": 0, "high": 1})]
)
def test_a_reward_that_is_not_finite_is_named_and_never_told(reward, bounds):
    environment = TeachGymnasium(Steps(), InOrder(BOX, ORDER), set_slope, **bounds)
    environment.reset()
    environment.unwrapped.slope = reward
    with pytest.raises(BadInput, match=rf"reward is {reward} in an episode of the task \[1\."):
        environment.step(0)
    environment.reset()
    for _ in range(2):
        environment.step(0)
    assert environment.teaching.asked == 2 and environment.teaching.told == 1


@pytest.mark.filterwarnings("ignore")
def test_it_passes_the_checks_of_gymnasium():
    from gymnasium.utils.env_checker import check_env

    check_env(TeachGymnasium(Steps(), InOrder(TaskBox([-4.0], [4.0]), [[1.0]])), skip_render_check=True)


def test_gymnasium_spaces_are_spaces_of_tasks():
    from lifelong.teachers import Uniform

    box = Uniform(gymnasium.spaces.Box(-1.0, 1.0, (3,))).space
    assert isinstance(box, TaskBox) and box.dims == 3
    tasks = Uniform(gymnasium.spaces.Discrete(4)).space
    assert isinstance(tasks, TaskList) and tasks.count == 4


def test_bounds_of_returns_that_are_none_are_refused():
    with pytest.raises(BadInput, match="a low and a higher one"):
        TeachGymnasium(Steps(), InOrder(BOX, ORDER), low=1.0, high=1.0)
