"""Learning progress in a box of tasks, modelled by mixtures of Gaussians: ALP-GMM and Covar-GMM."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.recipe import Number, number

from ._gaussians import Gaussians, best_mixture, cholesky
from ._searching import Searching, boxed, in_proportion, sometimes


class History(NamedTuple):
    """Tasks tried, one a column, with their returns; `count` of them were told, the newest overwrite the oldest."""

    tasks: Float[Array, "dims length"]
    returns: Float[Array, " length"]
    count: Int[Array, ""]


def empty_history(dims: int, length: int) -> History:
    """Return a history of nothing."""
    return History(jnp.zeros((dims, length)), jnp.zeros(length), jnp.int32(0))


def remembered(history: History, task: Float[Array, " dims"], value: Array, told: Bool[Array, ""]) -> History:
    """Return the history with one more try, where it was told."""
    length = len(history.returns)
    slot = jnp.where(told, history.count % length, length)
    tasks = history.tasks.at[:, slot].set(task, mode="drop")
    return History(tasks, history.returns.at[slot].set(value, mode="drop"), history.count + told)


def nearest_return(history: History, task: Float[Array, " dims"]) -> Float[Array, ""]:
    """Return the return of the try nearest to a task, other than the newest one, by Euclidean distance.

    The bits of numbers that are not negative are in their order, and whole numbers have a fast minimum.
    """
    length, place = len(history.returns), jnp.arange(len(history.returns), dtype=jnp.int32)
    distance = sum((row - there) ** 2 for row, there in zip(history.tasks, task, strict=True))
    bits = jax.lax.bitcast_convert_type(distance, jnp.int32)
    other = (place < history.count) & (place != (history.count - 1) % length)
    bits = jnp.where(other, bits, jnp.iinfo(jnp.int32).max)
    nearest = jnp.where(bits <= bits.min(), place, length - 1).min()
    return history.returns[nearest]


class MixturePlan(NamedTuple):
    """What was tried lately, row by row, the mixture last fitted to it, and all that was tried, where it is needed."""

    window: Float[Array, "every columns"]
    mixture: Gaussians
    count: Int[Array, ""]
    history: History | None


class _MixtureTeacher(Searching):
    """Ask for tasks from the components of a mixture in proportion to the progress that each stands for."""

    random_share: Number = number(0.2)
    every: int = eqx.field(static=True, default=250)
    sizes: tuple[int, ...] = eqx.field(static=True, default=tuple(range(2, 11)))

    def __check_init__(self):
        boxed(self)
        if not self.sizes or min(self.sizes) < 1 or max(self.sizes) > self.every:
            raise BadInput(
                f"mixtures have between 1 and {self.every} components, as many as are fitted to, and not {self.sizes}"
            )

    def _start(self, columns: int, history: History | None = None) -> MixturePlan:
        k = max(self.sizes)
        covariances = jnp.broadcast_to(jnp.eye(columns), (k, columns, columns))
        mixture = Gaussians(jnp.zeros(k), jnp.zeros((k, columns)), covariances)
        return MixturePlan(jnp.zeros((self.every, columns)), mixture, jnp.int32(0), history)

    def progress(self, mixture: Gaussians) -> Float[Array, " k"]:
        """Return how much progress each component stands for."""
        raise NotImplementedError

    def model(self, window: Float[Array, "every columns"], *, key: PRNGKeyArray) -> Gaussians:
        """Return the mixture that models what was tried lately."""
        return best_mixture(window, self.sizes, key=key)

    def choose(self, plan: MixturePlan, *, key: PRNGKeyArray) -> Float[Array, " dims"]:
        """Return a task from a component, or with `random_share`, and at first, any task."""
        space = boxed(self)
        for_places, for_task = jax.random.split(key)
        gate, place, *anywhere = jax.random.uniform(for_places, (2 + space.dims,))
        there = plan.mixture.weights > 0
        progress = jnp.where(there, jnp.maximum(self.progress(plan.mixture), 0.0), 0.0)
        k = in_proportion(jnp.where(progress.sum() > 0, progress, there), place)
        noise = jax.random.normal(for_task, plan.window.shape[1:])
        drawn = plan.mixture.means[k] + cholesky(plan.mixture.covariances[k]) @ noise
        anyhow = (plan.count < self.every) | (gate < self.random_share)
        return jnp.where(anyhow, space.at(jnp.stack(anywhere)), space.clip(drawn[: space.dims]))

    def _noted(self, plan: MixturePlan, row: Array, told: Bool[Array, ""], key: PRNGKeyArray) -> MixturePlan:
        """Return the plan with one more row, and a new mixture where it is time for one."""
        slot = jnp.where(told, plan.count % self.every, self.every)
        window, count = plan.window.at[slot].set(row, mode="drop"), plan.count + told
        mixture = sometimes(told & (count % self.every == 0), lambda _: self.model(window, key=key), plan.mixture)
        return plan._replace(window=window, count=count, mixture=mixture)


class ALPGMM(_MixtureTeacher):
    """Ask for tasks where the return changes most: absolute learning progress, modelled by Gaussian mixtures.

    The progress of a try is alp = |r − r′|, r′ the return of the nearest earlier task (0 in the first five tries). Every
    `every` tries mixtures of several sizes are fitted to the last `every` rows (task, alp), and the one of least Akaike
    criterion is kept. A task is then drawn from component k, which is chosen in proportion to its mean alp. Distances are
    in the units of the space, and returns should have a known scale, such as 0 to 1.

    All defaults are those of Portelas et al. 2019 (arXiv:1910.07224, section 4, and `alp_gmm.py`), but that a history has
    an end.

    Args:
        random_share: tasks drawn from anywhere.
        every: tries between two fits, to as many rows; all tasks before the first come from anywhere.
        sizes: numbers of components to choose from.
        history: how many tries are searched for the nearest.
    """

    history: int = eqx.field(static=True, default=20_000)

    def __check_init__(self):
        if self.history <= FEW:
            raise BadInput(f"a history of {self.history} tries is too short: progress needs more than {FEW}")

    def init(self, *, key: PRNGKeyArray) -> MixturePlan:
        """Return an empty plan."""
        dims = boxed(self).dims
        return self._start(dims + 1, empty_history(dims, self.history))

    def hear(self, plan: MixturePlan, task: Array, value: Array, told: Array, *, key: PRNGKeyArray) -> MixturePlan:
        """Return the plan with the progress of one more try."""
        assert plan.history is not None
        history = remembered(plan.history, task, value, told)
        progress = jnp.where(plan.history.count > FEW, jnp.abs(value - nearest_return(history, task)), 0.0)
        return self._noted(plan._replace(history=history), jnp.append(task, progress), told, key)

    def progress(self, mixture: Gaussians) -> Float[Array, " k"]:
        """Return the mean progress of each component."""
        return mixture.means[:, -1]


class CovarGMM(_MixtureTeacher):
    """Ask for tasks where the return grows with time: the covariance of time and return, in Gaussian mixtures.

    As `ALPGMM`, but the rows are (task, time, return), time running from 0 to 1 between two fits, and a component is chosen
    in proportion to max(0, cov(time, return)). Moulin-Frier, Nguyen and Oudeyer 2014; defaults are those of `covar_gmm.py`
    of Portelas et al. 2019.
    """

    def init(self, *, key: PRNGKeyArray) -> MixturePlan:
        """Return an empty plan."""
        return self._start(boxed(self).dims + 2)

    def hear(self, plan: MixturePlan, task: Array, value: Array, told: Array, *, key: PRNGKeyArray) -> MixturePlan:
        """Return the plan with one more try."""
        time = (plan.count % self.every) / self.every
        return self._noted(plan, jnp.concatenate([task, jnp.stack([time, value])]), told, key)

    def progress(self, mixture: Gaussians) -> Float[Array, " k"]:
        """Return the covariance of time and return in each component."""
        return mixture.covariances[:, -2, -1]


FEW = 5
"""Tries before there is any progress."""
