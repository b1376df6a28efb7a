"""Teaching oneself by one's own best answers, with a temperature and a threshold that are chosen anew in every round."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import RIGHT, Imitation, Info, Rollouts
from lifelong.keys import key_for
from lifelong.nets import Sampler, TokenScorer
from lifelong.recipe import Recipe
from lifelong.worlds import World

from ._agent import without
from ._configurations import Configurations, selected
from ._policy_learner import Judged, PolicyLearner, PolicyState, changed, outcome_of, speaker
from ._step_grades import StepJudging


class SelfTaughtState(PolicyState):
    """What a self-taught learner carries besides: its problems, the judge of its steps, the configuration chosen last."""

    pool: Int[Array, "pool t"]
    judge: TokenScorer
    chosen: Int[Array, ""]
    """Its place in the grid; −1 before the first round."""


class Selected(NamedTuple):
    """A round's answers, how much each counts, the configuration they were sampled with, and what to record of it."""

    judged: Judged
    weight: Float[Array, "prompts samples"]
    chosen: Int[Array, ""]
    info: Info


class SelfTaughtLearner(PolicyLearner):
    """Learn from the best of one's own answers, choosing how to sample and to select them: B-STaR (Zeng et al. 2024).

    In a round, answers to all problems of a pool are sampled at a temperature. Their score is reward + judge/5, where the judge
    says the worst of an answer's steps, in −1 … 1 (the authors' code). The best different ones above a threshold are
    imitated: `wanted` for each problem, or more where others have fewer. Temperature and threshold are
    chosen from a grid by their balance score on the first `dev` problems, the only ones whose right answers are
    known. The judge is trained at the beginning, and stays what it is; the optimizer goes on from round to round.

    Unlike the authors' learner it is shown no right answers beside its own.

    Args:
        model, and others: those of `PolicyLearner`; there is no feedback to choose.
        grid: the configurations, and how one is chosen.
        judging: how the judge of steps is trained.
        tasks: the tasks that the pool is drawn from, in equal parts.
        prompts, samples: problems in the pool, and answers to each in a round.
        dev: problems on which the grid is tried.
        wanted: n*, different right answers to each problem.
        descents, batch: steps in a round, and answers in each.

    Raises BadInput for sizes below 1, no tasks, and more problems to try the grid on than there are.
    """

    grid: Configurations
    judging: StepJudging
    tasks: tuple[int, ...] = eqx.field(static=True)
    dev: int = eqx.field(static=True)
    wanted: int = eqx.field(static=True)
    descents: int = eqx.field(static=True)
    batch: int = eqx.field(static=True)

    def __init__(
        self,
        model: Callable[..., PyTree],
        optimizer: Recipe | optax.GradientTransformation | None = None,
        *,
        grid: Configurations,
        judging: StepJudging,
        tasks: tuple[int, ...],
        dev: int = 48,
        wanted: int = 4,
        descents: int = 20,
        batch: int = 128,
        **more: Any,
    ):
        super().__init__(model, Imitation(), optimizer, **more)
        if min(dev, wanted, descents, batch, len(tasks)) < 1 or dev > self.prompts:
            raise BadInput(
                f"a round needs tasks and sizes of at least 1, and dev within prompts={self.prompts}: "
                f"{tasks=}, {dev=}, {wanted=}, {descents=}, {batch=}"
            )
        self.grid, self.judging, self.tasks = grid, judging, tasks
        self.dev, self.wanted, self.descents, self.batch = dev, wanted, descents, batch

    def init(self, world: World, *, key: PRNGKeyArray) -> SelfTaughtState:
        """Return the learner at its beginning, with its problems and its judge; raise `Mismatch` as `PolicyLearner` does."""
        born, here = super().init(world, key=key), _any(world)
        more = max(self.prompts, self.judging.answers)
        kinds = jnp.asarray(self.tasks, jnp.int32)[jnp.arange(more) % len(self.tasks)]
        posed = here.pose(kinds, more, key=key_for(key, "pool"))
        asked = posed[: self.judging.answers]
        begun = self.judged(born, here, asked, samples=1, key=key_for(key, "begun")).rollouts
        judge = self.judging.trained(
            speaker(born.model), here, asked, begun, stop=born.stop, write=self.write, key=key_for(key, "judge")
        )
        fields = [getattr(born, name) for name in PolicyState.__dataclass_fields__]
        return SelfTaughtState(*fields, posed[: self.prompts], judge, jnp.int32(-1))  # pyright: ignore[reportCallIssue]

    def meet(self, state: SelfTaughtState, world: World, lesson: Any, *, key: PRNGKeyArray) -> Selected:
        """Try the grid, choose, and return answers to all problems with how much each counts."""
        balance = self._balance(state, world, key=key_for(key, "grid"))
        chosen = self.grid.choose(balance, state.chosen, key=key_for(key, "choose"))
        temperature, threshold = self.grid.at(chosen)
        judged = self.judged(state, _any(world), state.pool, sampler=Sampler(temperature), key=key_for(key, "answer"))
        answers, score = judged.rollouts, self.score(state, judged.rollouts)
        weight = selected(score, answers, threshold, self.wanted)
        by_temperature = balance.reshape(self.grid.temperatures.size, -1)
        info = {
            "temperature": temperature,
            "threshold": threshold,
            "balance": balance[chosen],
            "best_balance": balance.max(),
            "threshold_matters": jnp.ptp(by_temperature[jnp.argmax(by_temperature.max(1))]),
            "kept": weight.mean(),
            "judge_gap": _gap(score, answers.reward > RIGHT, judged.right),
            "kept_right": (weight * judged.right).sum() / jnp.maximum(weight.sum(), 1.0),
        }
        return Selected(judged, weight, chosen, info)

    def _balance(self, state: SelfTaughtState, world: World, *, key: PRNGKeyArray) -> Float[Array, " configurations"]:
        """Return the mean balance score of every configuration, at one temperature after the other."""

        def at(temperature: Array) -> Array:
            tried = self.judged(state, _any(world), state.pool[: self.dev], sampler=Sampler(temperature), key=key)
            return self.grid.balance(self.score(state, tried.rollouts), tried.right, tried.rollouts, self.wanted)

        return jax.lax.map(at, self.grid.temperatures).reshape(-1)

    def score(self, state: SelfTaughtState, answers: Rollouts) -> Float[Array, "prompts samples"]:
        """Return reward + judge/5 of answers."""
        return answers.reward + self.judging.worst(state.judge, answers) / 5

    def learn(self, state: Any, experience: Selected, *, key: PRNGKeyArray) -> tuple[Any, Info]:
        """Imitate the answers that were selected, in batches drawn from them."""
        answers, weight = experience.judged.rollouts, experience.weight.reshape(-1)
        rows = jax.tree.map(lambda leaf: leaf.reshape(-1, 1, *leaf.shape[2:]), answers)
        any_at_all = (weight.sum() > 0).astype(jnp.float32)

        def descend(state: Any, step: Array) -> tuple[Any, Info]:
            each = key_for(key, "batch", step)
            drawn = jax.random.categorical(each, jnp.log(weight + 1e-9), shape=(self.batch,))
            told = jax.tree.map(lambda leaf: leaf[drawn], rows)
            told = changed(told, weight=jnp.full((self.batch, 1), any_at_all))
            arrays, info = self.descended(state, told, key=each)
            return arrays, info

        state, infos = jax.lax.scan(descend, state, jnp.arange(self.descents))
        info = {"loss": infos["loss"].mean()} | experience.info | outcome_of(experience.judged)
        return changed(state, chosen=experience.chosen), info

    def examinee(self) -> PolicyLearner:
        """Return the learner without what only learning needs."""
        return without(super().examinee(), "grid", "judging")

    def examined(self, state: SelfTaughtState) -> PolicyState:
        """Return the model alone."""
        return without(super().examined(state), "pool", "judge", "chosen")


def _gap(score: Array, rewarded: Array, right: Array) -> Float[Array, ""]:
    """Return by how much rewarded answers that are right score above those that are not, on average."""
    good, bad = rewarded & right, rewarded & ~right
    of_good, of_bad = ((score * which).sum() / jnp.maximum(which.sum(), 1) for which in (good, bad))
    return jnp.where(good.any() & bad.any(), of_good - of_bad, 0.0)


def _any(world: World) -> Any:
    return world
