"""Teaching oneself by one's own best answers, with a temperature and a threshold that are chosen anew in every round."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import RIGHT, Imitation, Info, Rollouts
from lifelong.keys import key_for
from lifelong.nets import TokenScorer
from lifelong.recipe import Recipe
from lifelong.worlds import World

from ._agent import without
from ._balanced import BalancedLearner, BalancedState, Selected, fields_of
from ._configurations import Configurations
from ._policy_learner import Judged, PolicyLearner, PolicyState, changed, outcome_of, speaker
from ._step_grades import StepJudging


class SelfTaughtState(BalancedState):
    """What a self-taught learner carries besides: its problems, and the judge of its steps."""

    pool: Int[Array, "pool t"]
    judge: TokenScorer


class SelfTaughtLearner(BalancedLearner):
    """A balanced learner with a pool of problems and a judge of steps: B-STaR as its authors run it (Zeng et al. 2024).

    In a round, answers to all problems of a pool are sampled. Their score is reward + judge/5, where the judge
    says the worst of an answer's steps, in −1 … 1 (the authors' code). Temperature and threshold are
    chosen from a grid by their balance score on the first `dev` problems, the only ones whose right answers are
    known. The judge is trained at the beginning, and stays what it is; the optimizer goes on from round to round.

    Unlike the authors' learner it is shown no right answers beside its own.

    Args:
        model, and others: those of `BalancedLearner`; there is no feedback to choose.
        grid: the configurations, and how one is chosen.
        judging: how the judge of steps is trained.
        tasks: the tasks that the pool is drawn from, in equal parts.
        prompts, samples: problems in the pool, and answers to each in a round.
        dev: problems on which the grid is tried.
        wanted: n*, different right answers to each problem.
        descents, batch: steps in a round, and answers in each.

    Raises BadInput for sizes below 1, no tasks, and more problems to try the grid on than there are.
    """

    judging: StepJudging
    tasks: tuple[int, ...] = eqx.field(static=True)
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
        super().__init__(model, Imitation(), optimizer, grid=grid, dev=dev, wanted=wanted, **more)
        if min(descents, batch, len(tasks)) < 1:
            raise BadInput(f"a round needs tasks and sizes of at least 1: {tasks=}, {descents=}, {batch=}")
        self.judging, self.tasks, self.descents, self.batch = judging, tasks, descents, batch

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
        own = (*fields_of(born), born.chosen, posed[: self.prompts], judge)
        return SelfTaughtState(*own)  # pyright: ignore[reportCallIssue]

    def asked(self, state: SelfTaughtState, world: Any, lesson: Any, *, key: PRNGKeyArray) -> Int[Array, "prompts t"]:
        """Return the problems of the pool, whatever the lesson."""
        return state.pool

    def score(self, state: SelfTaughtState, answers: Rollouts) -> Float[Array, "prompts samples"]:
        """Return reward + judge/5 of answers."""
        return answers.reward + self.judging.worst(state.judge, answers) / 5

    def more_of(self, judged: Judged, score: Float[Array, "prompts samples"]) -> Info:
        """Return by how much the judge tells right answers from wrong ones among those rewarded."""
        return {"judge_gap": _gap(score, judged.rollouts.reward > RIGHT, judged.right)}

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
        return without(super().examinee(), "judging")

    def examined(self, state: SelfTaughtState) -> PolicyState:
        """Return the model alone."""
        return without(super().examined(state), "pool", "judge")


def _gap(score: Array, rewarded: Array, right: Array) -> Float[Array, ""]:
    """Return by how much rewarded answers that are right score above those that are not, on average."""
    good, bad = rewarded & right, rewarded & ~right
    of_good, of_bad = ((score * which).sum() / jnp.maximum(which.sum(), 1) for which in (good, bad))
    return jnp.where(good.any() & bad.any(), of_good - of_bad, 0.0)


def _any(world: World) -> Any:
    return world
