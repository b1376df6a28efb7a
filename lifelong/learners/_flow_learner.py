"""A policy learner that explores, remembers the best answers to every problem, and searches around them."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import Feedback, Rollouts, TrajectoryBalance
from lifelong.keys import key_for
from lifelong.memory import NOTHING, BestAnswers
from lifelong.nets import Exploring, Sampler, decided
from lifelong.recipe import Number, Recipe
from lifelong.worlds import World

from ._policy_learner import Judged, PolicyLearner, PolicyState

FLOOR = 1e-3
"""What worthless answers count as: log 0 is no number."""


class FlowState(PolicyState):
    """What a flow learner carries: what a policy learner does, the answers it keeps, and how many rounds it has had."""

    kept: PyTree
    round: Int[Array, ""]


class FlowLearner(PolicyLearner):
    """Sample half of a round's answers from the policy, explore around the best of them, and rehearse the other half.

    A round is about one problem of the lesson's task, its model a `Stepwise`. Half of the answers are the policy's, with a
    probability ε of any allowed word that falls in a straight line over the first half of `rounds`. The best of them keeps its
    first half and is finished by allowed words at random, `tries` times over; what is better than it is kept too (local
    search). All go to a memory of the best answers, from which the other half is drawn. Yu et al. 2024, "Flow of Reasoning",
    whose code has these defaults. Rewards are raised to a power that rises from 1 to `sharpness` over the first half.

    Args:
        model, feedback, optimizer, sampler, greedy, samples: as of `PolicyLearner`.
        memory: the best answers to so many problems, the first that the world teaches.
        rounds: how many there will be.
        explore: ε at the beginning; `explore_end` in the second half.
        rehearse: 1 draws half of the answers from memory, 0 has them all sampled by the policy, and searches nothing.
        sharpness: the power of rewards in the second half, 2.
        tries: of local search.

    Raises BadInput for an odd number of samples, or none.
    """

    memory: BestAnswers
    explore: Number
    explore_end: Number
    rehearse: Number
    sharpness: Number
    rounds: int = eqx.field(static=True)
    tries: int = eqx.field(static=True)

    def __init__(
        self,
        model: Callable[..., PyTree],
        feedback: Feedback | None = None,
        optimizer: Recipe | optax.GradientTransformation | None = None,
        sampler: PyTree = None,
        *,
        memory: BestAnswers,
        rounds: int,
        greedy: PyTree = None,
        samples: int = 8,
        explore: Any = 0.5,
        explore_end: Any = 0.01,
        rehearse: Any = 1.0,
        sharpness: Any = 2.0,
        tries: int = 16,
    ):
        if samples < 2 or samples % 2:
            raise BadInput(f"half of the samples are rehearsed, so their number is even: samples={samples}")
        super().__init__(
            model,
            feedback or TrajectoryBalance(),
            optimizer,
            sampler or Exploring(),
            greedy=greedy,
            write=decided,
            prompts=1,
            samples=samples,
        )
        self.memory, self.rounds, self.tries = memory, rounds, tries
        numbers = (explore, explore_end, rehearse, sharpness)
        self.explore, self.explore_end, self.rehearse, self.sharpness = (
            jnp.asarray(value, jnp.float32) for value in numbers
        )

    def init(self, world: World, *, key: PRNGKeyArray) -> FlowState:
        """Return the learner at its beginning, with nothing in memory."""
        begun = super().init(world, key=key)
        parts = (begun.model, begun.reference, begun.optimizer, begun.length, begun.stop)
        return FlowState(*parts, self.memory.init(begun.length), jnp.int32(0))

    def progress(self, state: FlowState) -> Float[Array, ""]:
        """Return how much of the first half of all rounds is over, at most 1."""
        return jnp.minimum(2.0 * state.round / self.rounds, 1.0)

    def meet(self, state: FlowState, world: World, lesson: Any, *, key: PRNGKeyArray) -> tuple[Judged, PyTree]:
        """Return a round of answers to one problem, judged, and the memory after it."""
        here: Any = world
        problem = jax.random.randint(key_for(key, "problem"), (), 0, self.memory.problems)
        prompt = here.read(here.codes[here.first[lesson.task, 0] + problem][None])
        own = self._written(state, prompt, self.samples, self._epsilon(state), key_for(key, "own"))
        half = self.samples // 2
        reward = here.judge(jnp.repeat(prompt, self.samples, 0), own).reward
        found, worth = self._searched(here, state, prompt, own[:half], reward[:half], key_for(key, "search"))
        kept = self.memory.keep(
            state.kept,
            problem,
            jnp.concatenate([own[:half], found]),
            jnp.concatenate([_log(reward[:half]), worth]),
        )
        recalled, _ = self.memory.draw(kept, problem, half, key=key_for(key, "recall"))
        second = jnp.where(self.rehearse > 0.5, recalled, own[half:])
        return self._judged(here, prompt, jnp.concatenate([own[:half], second])), kept

    def _epsilon(self, state: FlowState) -> Float[Array, ""]:
        return self.explore + (self.explore_end - self.explore) * self.progress(state)

    def _written(self, state: FlowState, prompt: Array, n: int, epsilon: Any, key: PRNGKeyArray) -> Array:
        sampler = Exploring(1.0, epsilon=epsilon)
        asked = jnp.repeat(prompt, n, 0)
        return decided(state.model, asked, length=state.length, key=key, sampler=sampler).tokens[:, prompt.shape[1] :]

    def _searched(
        self, world: Any, state: FlowState, prompt: Array, own: Array, reward: Array, key: PRNGKeyArray
    ) -> tuple[Array, Array]:
        """Return answers that begin as the best one and end at random, and log R of those that are better, else `NOTHING`."""
        model, first = state.model, state.length // 2
        begun = jnp.broadcast_to(own[reward.argmax()][:first], (self.tries, first))
        asked = jnp.repeat(prompt, self.tries, 0)
        place = asked
        for word in begun.T:
            place = model.after(place, word)
        chance = jax.random.uniform(key, (state.length - first, self.tries))
        words = []
        for luck in chance:
            words.append(Sampler().choose(jnp.where(model.allowed(place), 0.0, -jnp.inf), luck))
            place = model.after(place, words[-1])
        answers = jnp.concatenate([begun, jnp.stack(words, 1)], 1)
        worth = world.judge(asked, answers).reward
        return answers, jnp.where(worth > reward.max(), _log(worth), NOTHING)

    def _judged(self, world: Any, prompt: Array, answers: Array) -> Judged:
        asked = jnp.repeat(prompt, self.samples, 0)
        verdict = world.judge(asked, answers)
        tokens = jnp.concatenate([asked, answers], 1)[None]
        own = jnp.broadcast_to(jnp.arange(tokens.shape[-1]) >= prompt.shape[1], tokens.shape)
        return Judged(Rollouts(tokens, own, verdict.reward[None]), verdict.right[None])

    def learn(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, state: FlowState, experience: tuple[Judged, PyTree], *, key: PRNGKeyArray
    ) -> tuple[FlowState, dict[str, Array]]:
        """Take the step of a round on rewards raised to the power of this moment, and keep the memory."""
        judged, kept = experience
        power = 1.0 + (self.sharpness - 1.0) * self.progress(state)
        sharp = jnp.maximum(judged.rollouts.reward, FLOOR) ** power
        told = eqx.tree_at(lambda r: r.reward, judged.rollouts, sharp)
        after, info = super().learn(state, Judged(told, judged.right), key=key)
        parts = (after.model, after.reference, after.optimizer, after.length, after.stop)
        return FlowState(*parts, kept, state.round + 1), info


def _log(reward: Float[Array, "*n"]) -> Float[Array, "*n"]:
    return jnp.log(jnp.maximum(reward, FLOOR))
