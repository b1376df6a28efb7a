"""Learning from the best of one's own answers, sampled and selected as their balance score says."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import Feedback, Imitation, Info, Rollouts
from lifelong.keys import key_for
from lifelong.nets import Sampler
from lifelong.recipe import Recipe
from lifelong.worlds import World

from ._agent import without
from ._configurations import Configurations, selected
from ._policy_learner import Judged, PolicyLearner, PolicyState, changed, outcome_of


class BalancedState(PolicyState):
    """What a balanced learner carries besides: the configuration chosen last."""

    chosen: Int[Array, ""]
    """Its place in the grid; −1 before the first round."""


class Selected(NamedTuple):
    """A round's answers, how much each counts, the configuration they were sampled with, and what to record of it."""

    judged: Judged
    weight: Float[Array, "prompts samples"]
    chosen: Int[Array, ""]
    info: Info


class BalancedLearner(PolicyLearner):
    """Imitate the best of one's own answers, choosing anew how to sample and to select them: B-STaR (Zeng et al. 2024).

    In a round, answers to the first `dev` problems are sampled at every temperature of a grid. The temperature and the
    threshold with the best balance score are taken for all problems, and the best different answers of at least the
    threshold are imitated: `wanted` for each problem, or more where others have fewer. The threshold is on the reward: there is
    no judge of steps, as in the subclass `SelfTaughtLearner`. Where rewards are 0 for wrong and 1 for right answers, all
    thresholds above 0 are the same.

    Args:
        model, and others: those of `PolicyLearner`.
        feedback: `Imitation()` unless stated.
        grid: the configurations, and how one is chosen.
        dev: problems on which the grid is tried; half of them unless stated (48 of 96 in the study `b-star`).
        wanted: n*, different right answers to each problem; half of the samples unless stated (4 of 8 there).

    Raises BadInput for sizes below 1, and more problems to try the grid on than there are.
    """

    grid: Configurations
    dev: int = eqx.field(static=True)
    wanted: int = eqx.field(static=True)

    def __init__(
        self,
        model: Callable[..., PyTree],
        feedback: Feedback | None = None,
        optimizer: Recipe | optax.GradientTransformation | None = None,
        *,
        grid: Configurations,
        dev: int | None = None,
        wanted: int | None = None,
        **more: Any,
    ):
        super().__init__(model, feedback or Imitation(), optimizer, **more)
        self.grid = grid
        self.dev = -(-self.prompts // 2) if dev is None else dev
        self.wanted = -(-self.samples // 2) if wanted is None else wanted
        if min(self.dev, self.wanted) < 1 or self.dev > self.prompts:
            raise BadInput(
                f"a grid is tried on one problem at least and on prompts={self.prompts} at most, and one answer to each is "
                f"wanted at least: {dev=}, {wanted=}"
            )

    def init(self, world: World, *, key: PRNGKeyArray) -> BalancedState:
        """Return the learner at its beginning; raise `Mismatch` as `PolicyLearner` does."""
        born = super().init(world, key=key)
        return BalancedState(*fields_of(born), jnp.int32(-1))  # pyright: ignore[reportCallIssue]

    def meet(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, state: BalancedState, world: World, lesson: Any, *, key: PRNGKeyArray
    ) -> Selected:
        """Try the grid, choose, and return answers to all problems with how much each counts."""
        here: Any = world
        asked = self.asked(state, here, lesson, key=key_for(key, "pose"))
        balance = self._balance(state, here, asked[: self.dev], key=key_for(key, "grid"))
        chosen = self.grid.choose(balance, state.chosen, key=key_for(key, "choose"))
        temperature, threshold = self.grid.at(chosen)
        judged = self.judged(state, here, asked, sampler=Sampler(temperature), key=key_for(key, "answer"))
        score = self.score(state, judged.rollouts)
        weight = selected(score, judged.rollouts, threshold, self.wanted)
        by_temperature = balance.reshape(self.grid.temperatures.size, -1)
        info = {
            "temperature": temperature,
            "threshold": threshold,
            "balance": balance[chosen],
            "best_balance": balance.max(),
            "threshold_matters": jnp.ptp(by_temperature[jnp.argmax(by_temperature.max(1))]),
            "kept": weight.mean(),
            "kept_right": (weight * judged.right).sum() / jnp.maximum(weight.sum(), 1.0),
        }
        return Selected(judged, weight, chosen, info | self.more_of(judged, score))

    def asked(self, state: Any, world: Any, lesson: Any, *, key: PRNGKeyArray) -> Int[Array, "prompts t"]:
        """Return the problems of a round: of the lesson's task, drawn anew."""
        return world.pose(lesson.task, self.prompts, key=key)

    def score(self, state: Any, answers: Rollouts) -> Float[Array, "prompts samples"]:
        """Return what the threshold is on: the reward of answers."""
        return answers.reward

    def more_of(self, judged: Judged, score: Float[Array, "prompts samples"]) -> Info:
        """Return what else to record of a round: nothing."""
        return {}

    def _balance(
        self, state: Any, world: Any, asked: Int[Array, "dev t"], *, key: PRNGKeyArray
    ) -> Float[Array, " configurations"]:
        """Return the mean balance score of every configuration, at one temperature after the other."""

        def at(temperature: Array) -> Array:
            tried = self.judged(state, world, asked, sampler=Sampler(temperature), key=key)
            score = self.score(state, tried.rollouts)
            return self.grid.balance(score, tried.right, tried.rollouts, self.wanted)

        return jax.lax.map(at, self.grid.temperatures).reshape(-1)

    def learn(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, state: Any, experience: Selected, *, key: PRNGKeyArray
    ) -> tuple[Any, Info]:
        """Imitate the answers that were selected; where there is none, the gradient is 0."""
        told = changed(experience.judged.rollouts, weight=experience.weight)
        state, info = self.descended(state, told, key=key)
        info = {"loss": info["loss"]} | experience.info | outcome_of(experience.judged)
        return changed(state, chosen=experience.chosen), info

    def examinee(self) -> PolicyLearner:
        """Return the learner without what only learning needs."""
        return without(super().examinee(), "grid")

    def examined(self, state: Any) -> PolicyState:
        """Return the model alone."""
        return without(super().examined(state), "chosen")


def fields_of(state: PolicyState) -> list[Any]:
    """Return what a policy learner's state holds, in order, for a state that holds more."""
    return [getattr(state, name) for name in PolicyState.__dataclass_fields__]
