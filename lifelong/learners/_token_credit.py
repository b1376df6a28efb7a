"""Learning from outcomes with a model of one's own of which tokens they hang on."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.feedback import OREAL, RIGHT, Graded, Info, OutcomeOfTokens, Rollouts, token_credit, with_reference
from lifelong.keys import key_for
from lifelong.nets import TokenScorer
from lifelong.recipe import Number, Recipe, number
from lifelong.worlds import World

from ._agent import where, without
from ._optimizers import clipped_adam
from ._policy_learner import Judged, changed, outcome_of, right_and_wrong, speaker
from ._selective import SelectiveLearner, SelectiveState
from ._trained import Trained


class TokenCreditState(SelectiveState):
    """What the learner carries besides: the judge of its tokens, the judge's optimizer, and the rounds it has lived."""

    judge: TokenScorer
    judge_optimizer: PyTree
    rounds: Int[Array, ""]


class TokenCreditLearner(SelectiveLearner):
    """Learn from one right and one wrong answer to each problem, token by token: OREAL (Lyu et al. 2025).

    A judge, at first the model with a head that says 0 of every token, learns in every round to tell right answers from wrong
    ones by the mean of what it says of their tokens. What it said of them before gives every token its credit
    (`token_credit`), and the model learns from the same answers, but not in the first `frozen` rounds.

    Args:
        model, and others: those of `SelectiveLearner`; the feedback is `OREAL()` unless stated.
        judging: the judge's optimizer; `clipped_adam` with a rate of 0.0005 and norms of 1 unless stated.
        frozen: rounds in which the judge alone learns; 5 (in the authors' configurations 10 of 90).
        credited: 1, or 0 for a credit of 1 for every token.
    """

    judging: Recipe | optax.GradientTransformation
    frozen: Number = number(5.0)
    credited: Number = number(1.0)

    def __init__(
        self,
        model: Callable[..., PyTree],
        feedback: Any = None,
        *parts: Any,
        judging: Recipe | optax.GradientTransformation | None = None,
        frozen: Number = 5.0,
        credited: Number = 1.0,
        **more: Any,
    ):
        super().__init__(model, feedback or OREAL(), *parts, **more)
        self.judging = judging or Recipe(clipped_adam, learning_rate=5e-4, max_norm=1.0)
        self.frozen, self.credited = frozen, credited

    def init(self, world: World, *, key: PRNGKeyArray) -> TokenCreditState:
        """Return the learner at its beginning; raise `Mismatch` as `PolicyLearner` does."""
        born = super().init(world, key=key)
        judge = TokenScorer(Trained(speaker(born.model)), key=key)
        optimizer = self._judging().init(eqx.filter(judge, eqx.is_inexact_array))
        fields = [getattr(born, name) for name in SelectiveState.__dataclass_fields__]
        return TokenCreditState(*fields, judge, optimizer, jnp.int32(0))  # pyright: ignore[reportCallIssue]

    def _judging(self) -> optax.GradientTransformation:
        return self.judging() if isinstance(self.judging, Recipe) else self.judging

    def learn(self, state: TokenCreditState, experience: Judged, *, key: PRNGKeyArray) -> tuple[TokenCreditState, Info]:
        """Teach the model by what the judge says, and the judge by how answers ended."""
        pairs = right_and_wrong(experience.rollouts, state.model, key=key_for(key, "pairs"))
        pairs = with_reference(pairs, state.reference)
        told = changed(pairs, credit=self.credit(state, pairs))
        taught, info = self.descended(state, told, key=key)
        state = where(state.rounds >= self.frozen, taught, state)
        judge, optimizer, judged = self._judge_taught(state, pairs, key=key)
        state = changed(state, judge=judge, judge_optimizer=optimizer, rounds=state.rounds + 1)
        return state, info | judged | outcome_of(experience)

    def credit(self, state: TokenCreditState, answers: Rollouts) -> Float[Array, "prompts samples length"]:
        """Return how much of an answer's success or failure is every token's."""
        credit = token_credit(state.judge.read(answers.tokens), answers.own, answers.reward > RIGHT)
        return jnp.where(self.credited > 0.5, credit, 1.0)

    def _judge_taught(
        self, state: TokenCreditState, pairs: Rollouts, *, key: PRNGKeyArray
    ) -> tuple[TokenScorer, PyTree, Info]:
        ended_well = (pairs.reward[..., None] > RIGHT).astype(jnp.float32)
        grade = jnp.broadcast_to(ended_well, pairs.tokens.shape)
        rows = (leaf.reshape(-1, *leaf.shape[2:]) for leaf in (pairs.tokens, pairs.own, grade, pairs.weights))
        homework = Graded(*rows)
        gradient, info = eqx.filter_grad(lambda judge: OutcomeOfTokens()(judge, homework, key=key), has_aux=True)(
            state.judge
        )
        trained = eqx.filter(state.judge, eqx.is_inexact_array)
        updates, optimizer = self._judging().update(gradient, state.judge_optimizer, trained)
        judged = {f"judge_{name}": value for name, value in info.items()}
        return eqx.apply_updates(state.judge, updates), optimizer, judged

    def examined(self, state: TokenCreditState) -> SelectiveState:
        """Return the model alone."""
        return without(super().examined(state), "judge", "judge_optimizer", "rounds")
