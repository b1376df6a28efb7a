"""What steps of an answer are worth, found out by going on from them."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import Graded, Rollouts, StepGrades
from lifelong.keys import key_for
from lifelong.nets import TokenScorer, sample
from lifelong.recipe import Recipe
from lifelong.worlds import Problems

from ._trained import Trained


def step_grades(
    model: PyTree,
    world: Problems,
    prompts: Int[Array, "n prompt"],
    answers: Int[Array, "n answer"],
    *,
    steps: int,
    tries: int = 4,
    stop: tuple[int, ...] = (),
    write: Callable[..., Any] = sample,
    key: PRNGKeyArray,
) -> Float[Array, "n steps"]:
    """Return the share of `tries` continuations that are rewarded, after each of the first `steps` tokens of answers.

    Every one of these tokens is a step. Wang et al. 2024, "Math-Shepherd", section 3.3 (soft estimation); the world's reward is
    all that is asked for. An answer that has ended is not continued.
    """
    asked, said = (jnp.repeat(part, tries, axis=0) for part in (prompts, answers))
    length = answers.shape[1]

    def after(step: Int[Array, ""]) -> Float[Array, " n"]:
        begun = jnp.where(jnp.arange(length) <= step, said, -1)
        over = ((begun[..., None] == jnp.asarray(stop, jnp.int32)) & (begun[..., None] >= 0)).any((1, 2))
        whole = jnp.concatenate([asked, begun], 1)
        written = write(model, whole, length=length, key=key_for(key, "step", step), stop=stop, finished=over)
        order = jnp.argsort(written.tokens < 0, axis=1, stable=True)
        place = (asked >= 0).sum(1)[:, None] + jnp.arange(length)
        aligned = jnp.take_along_axis(jnp.take_along_axis(written.tokens, order, 1), place, 1)
        return world.judge(asked, aligned).reward.reshape(-1, tries).mean(1)

    return jax.lax.map(after, jnp.arange(steps)).T


class StepJudging(eqx.Module):
    """How a judge of steps is trained, and how it judges answers.

    The judge begins as the model and learns to say 2g − 1 of every step, whose grade g comes from `step_grades` (the authors of
    B-STaR: pointwise regression, 2 epochs).

    Args:
        steps: tokens at the beginning of an answer, each of which is a step.
        answers: how many answers are graded.
        tries: continuations from each step (4 in the labels of Math-Shepherd's release, 8 in its paper).
        optimizer: the judge's.
        epochs, batch: passes over the answers, and answers in a step.

    Raises BadInput for sizes below 1, and batches larger than there are answers.
    """

    optimizer: Recipe
    steps: int = eqx.field(static=True)
    answers: int = eqx.field(static=True)
    tries: int = eqx.field(static=True, default=4)
    epochs: int = eqx.field(static=True, default=2)
    batch: int = eqx.field(static=True, default=128)

    def __check_init__(self):
        sizes = (self.steps, self.answers, self.tries, self.epochs, self.batch)
        if min(sizes) < 1 or self.batch > self.answers:
            raise BadInput(f"a judge needs sizes of at least 1, and no batch larger than its answers: {sizes}")

    def trained(
        self,
        model: PyTree,
        world: Problems,
        prompts: Int[Array, "answers prompt"],
        begun: Rollouts,
        *,
        stop: tuple[int, ...],
        write: Callable[..., Any] = sample,
        key: PRNGKeyArray,
    ) -> TokenScorer:
        """Return a judge, trained on one answer to each of some problems."""
        tokens, own = begun.tokens[:, 0], begun.own[:, 0]
        before = prompts.shape[1]
        grades = step_grades(
            model,
            world,
            prompts,
            tokens[:, before:],
            steps=self.steps,
            tries=self.tries,
            stop=stop,
            write=write,
            key=key,
        )
        after = tokens.shape[1] - before - self.steps
        grade = jnp.pad(grades, ((0, 0), (before, after)))
        graded = Graded(tokens, self._at(own, before), grade, jnp.ones(len(tokens)))
        return self._fitted(TokenScorer(Trained(model), key=key), graded, key=key)

    def _at(self, own: Bool[Array, "*n length"], before: int) -> Bool[Array, "*n length"]:
        place = jnp.arange(own.shape[-1])
        return own & (place >= before) & (place < before + self.steps)

    def _fitted(self, judge: TokenScorer, graded: Graded, *, key: PRNGKeyArray) -> TokenScorer:
        loss, transformation = StepGrades("square"), self.optimizer()
        orders = [jax.random.permutation(key_for(key, "order", epoch), self.answers) for epoch in range(self.epochs)]
        whole = self.answers // self.batch
        pages = jnp.concatenate([order[: whole * self.batch].reshape(whole, self.batch) for order in orders])
        arrays, static = eqx.partition(judge, eqx.is_inexact_array)

        def learn(carry: tuple[PyTree, PyTree], page: Int[Array, " batch"]) -> tuple[tuple[PyTree, PyTree], None]:
            arrays, state = carry
            homework = jax.tree.map(lambda leaf: leaf[page], graded)
            gradient = jax.grad(lambda arrays: loss(eqx.combine(arrays, static), homework, key=key)[0])(arrays)
            updates, state = transformation.update(gradient, state, arrays)
            return (eqx.apply_updates(arrays, updates), state), None

        (arrays, _), _ = jax.lax.scan(learn, (arrays, transformation.init(arrays)), pages)
        return eqx.combine(arrays, static)

    def worst(self, judge: TokenScorer, answers: Rollouts) -> Float[Array, "prompts samples"]:
        """Return the least that a judge says of any step of an answer, within −1 … 1; −1 where there is none."""
        at = answers.own & (jnp.cumsum(answers.own, -1) <= self.steps)
        said = jnp.clip(judge.read(answers.tokens), -1.0, 1.0)
        return jnp.where(at.any(-1), jnp.where(at, said, 1.0).min(-1), -1.0)
