"""A language model that learns from its own answers: sample, be judged, change."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Int, PRNGKeyArray, PyTree, Shaped

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import (
    GRPO,
    Feedback,
    Info,
    Rollouts,
    balanced_pairs,
    leave_one_out,
    token_advantages,
    with_reference,
)
from lifelong.keys import key_for
from lifelong.nets import Sampler, sample
from lifelong.recipe import Recipe
from lifelong.worlds import Problems, World

from ._agent import Holder, without
from ._learner import Learner
from ._optimizers import clipped_adam

Prepare = Callable[..., Any]
"""`prepare(rollouts, model, *, key)`: what the feedback gets of the answers just judged."""


class PolicyState(eqx.Module):
    """What a policy learner carries through its life: the model, what it was at the beginning, and the optimizer's state."""

    model: PyTree
    reference: PyTree
    optimizer: PyTree
    length: int = eqx.field(static=True)
    """Tokens of the world's longest answer."""
    stop: tuple[int, ...] = eqx.field(static=True)
    """The words that end an answer."""


class Judged(NamedTuple):
    """An experience: answers to problems, what they were rewarded with, and which of them are right."""

    rollouts: Rollouts
    right: Bool[Array, "prompts samples"]


def as_sampled(rollouts: Rollouts, model: PyTree, *, key: PRNGKeyArray) -> Rollouts:
    """Return the answers as they are."""
    return rollouts


def right_and_wrong(rollouts: Rollouts, model: PyTree, *, key: PRNGKeyArray) -> Rollouts:
    """Return one right and one wrong answer to every prompt that has both, with advantages among all its answers.

    For OREAL, and for pairs of DPO and its relatives.
    """
    gain = jnp.broadcast_to(leave_one_out(rollouts.reward)[..., None], rollouts.tokens.shape)
    return balanced_pairs(changed(rollouts, advantage=gain), key=key)


def with_values(rollouts: Rollouts, model: PyTree, *, key: PRNGKeyArray) -> Rollouts:
    """Return the answers with what the model expected before every token, and their advantages: for `SequencePPO`."""
    valued = changed(rollouts, value=jax.lax.stop_gradient(rollouts.scores(model).value))
    return changed(valued, advantage=token_advantages(valued))


def changed(module: Holder, **fields: Any) -> Holder:
    """Return rollouts, or a state, with other values in some fields."""
    names = list(fields)
    return eqx.tree_at(
        lambda module: [getattr(module, name) for name in names],
        module,
        list(fields.values()),
        is_leaf=lambda node: node is None,
    )


class PolicyLearner(Learner):
    """Answer problems several times over, be judged, and learn from that by any feedback on rollouts.

    One step of a life is a round: `prompts` problems of the lesson's task are posed, `samples` answers to each sampled, the
    world judges them, and the model takes `epochs` steps on all of them. The reference of feedbacks that have one is
    the model of the beginning.

    Args:
        model: called with `key=` it returns the language model; `Trained(model)` or `Inherited(models, seeds)` is one trained
            before.
        feedback: a loss on `Rollouts`; `GRPO()` unless stated.
        optimizer: a `Recipe` or an Optax transformation; `clipped_adam` with a rate of 0.0005 and norms of 1 unless stated.
        sampler: how answers are sampled, a `Sampler`; with the model's own probabilities unless stated.
        greedy: the sampler of exams; one that takes the likeliest words unless stated.
        prepare: what is made of the judged answers before they are learned from; `as_sampled` unless stated.
        write: what samples answers; `lifelong.nets.sample` unless stated.
        prompts, samples: problems in a round, and answers to each.
        epochs: steps on the same answers.

    Raises BadInput for sizes below 1.
    """

    model: Callable[..., PyTree]
    feedback: Feedback
    optimizer: Recipe | optax.GradientTransformation
    sampler: PyTree
    greedy: PyTree
    prepare: Prepare = eqx.field(static=True)
    write: Callable[..., Any] = eqx.field(static=True)
    prompts: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    epochs: int = eqx.field(static=True)

    def __init__(
        self,
        model: Callable[..., PyTree],
        feedback: Feedback | None = None,
        optimizer: Recipe | optax.GradientTransformation | None = None,
        sampler: PyTree = None,
        *,
        greedy: PyTree = None,
        prepare: Prepare = as_sampled,
        write: Callable[..., Any] = sample,
        prompts: int = 8,
        samples: int = 8,
        epochs: int = 1,
    ):
        if min(prompts, samples, epochs) < 1:
            raise BadInput(f"a round needs sizes of at least 1: {prompts=}, {samples=}, {epochs=}")
        self.model, self.feedback = model, feedback or GRPO()
        self.optimizer = optimizer or Recipe(clipped_adam, learning_rate=5e-4, max_norm=1.0)
        self.sampler, self.greedy = sampler or Sampler(), greedy or Sampler(temperature=0.0)
        self.prepare, self.write = prepare, write
        self.prompts, self.samples, self.epochs = prompts, samples, epochs

    def init(self, world: World, *, key: PRNGKeyArray) -> PolicyState:
        """Return the learner at its beginning; raise `Mismatch` where the world poses no problems, or in other words."""
        here = _problems(world)
        model = self.model(key=key)
        blank = jnp.zeros((1, here.prompt_length), jnp.int32)
        said = eqx.filter_eval_shape(lambda model: model.read(blank), model)
        words = (said[0] if isinstance(said, tuple) else said).shape[-1]
        if words != here.outputs:
            name = type(here).__name__
            raise Mismatch(
                f"the model has {words} words, and {name} has {here.outputs}; build it with vocabulary={here.outputs}"
            )
        trained = eqx.filter(model, eqx.is_inexact_array)
        return PolicyState(model, model, self._optimizer().init(trained), here.answer_length, here.stop)

    def _optimizer(self) -> optax.GradientTransformation:
        return self.optimizer() if isinstance(self.optimizer, Recipe) else self.optimizer

    def meet(self, state: PolicyState, world: World, lesson: Any, *, key: PRNGKeyArray) -> Judged:
        """Return answers to problems of the lesson's task, judged."""
        here = _problems(world)
        posed = here.pose(lesson.task, self.prompts, key=key_for(key, "pose"))
        return self.judged(state, here, posed, key=key_for(key, "answer"))

    def judged(
        self,
        state: PolicyState,
        world: Problems,
        prompts: Int[Array, "prompts t"],
        *,
        samples: int | None = None,
        sampler: PyTree = None,
        key: PRNGKeyArray,
    ) -> Judged:
        """Return answers to each of some problems, judged: as many, and sampled as, in a round unless stated."""
        samples, sampler = samples or self.samples, sampler or self.sampler
        asked = jnp.repeat(prompts, samples, axis=0)
        written = self.write(
            speaker(state.model), asked, length=state.length, key=key, stop=state.stop, sampler=sampler
        )
        verdict = world.judge(asked, written.tokens[:, prompts.shape[1] :])
        parts = (written.tokens, written.own, verdict.reward, written.log_probability, verdict.right)
        tokens, own, reward, log_p, right = (part.reshape(len(prompts), samples, *part.shape[1:]) for part in parts)
        return Judged(Rollouts(tokens, own, reward, log_p), right)

    def learn(self, state: PolicyState, experience: Judged, *, key: PRNGKeyArray) -> tuple[PolicyState, Info]:
        """Take the steps of a round; return the new state, and means over them of what the feedback reports."""
        told = with_reference(experience.rollouts, state.reference)
        told = self.prepare(told, state.model, key=key_for(key, "prepare"))
        state, info = self.descended(state, told, key=key)
        return state, info | outcome_of(experience)

    def descended(self, state: PolicyState, told: Any, *, key: PRNGKeyArray) -> tuple[PolicyState, Info]:
        """Take a round's steps on what is prepared; return the new state, and means of what the feedback reports."""
        transformation = self._optimizer()

        def descend(carry: tuple[PyTree, PyTree], epoch: Array) -> tuple[tuple[PyTree, PyTree], Info]:
            model, optimizer = eqx.combine(carry[0], static), carry[1]
            each = key_for(key, "epoch", epoch)
            gradient, info = eqx.filter_grad(lambda m: self.feedback(m, told, key=each), has_aux=True)(model)
            updates, optimizer = transformation.update(gradient, optimizer, eqx.filter(model, eqx.is_inexact_array))
            return (eqx.filter(eqx.apply_updates(model, updates), eqx.is_array), optimizer), info

        arrays, static = eqx.partition(state.model, eqx.is_array)
        (arrays, optimizer), infos = jax.lax.scan(descend, (arrays, state.optimizer), jnp.arange(self.epochs))
        info = jax.tree.map(lambda values: values.mean(), infos)
        return changed(state, model=eqx.combine(arrays, static), optimizer=optimizer), info

    def answer(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        state: PolicyState,
        x: Shaped[Array, "n t"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Int[Array, "n length"]:
        """Return one answer to every prompt: the likeliest words one by one, or with a key sampled as in a round."""
        sampler, key = (self.greedy, jax.random.key(0)) if key is None else (self.sampler, key)
        model = speaker(state.model)
        written = self.write(model, x, length=state.length, key=key, stop=state.stop, sampler=sampler)
        return written.tokens[:, x.shape[1] :]

    def examinee(self) -> "PolicyLearner":
        """Return the learner without what only learning needs."""
        return without(self, "feedback", "optimizer")

    def examined(self, state: PolicyState) -> PolicyState:
        """Return the model alone."""
        return without(state, "reference", "optimizer")


def outcome_of(experience: Judged) -> Info:
    """Return the share of right answers, of prompts with right and wrong ones, and the length of answers in tokens."""
    right = experience.right
    both = right.any(-1) & ~right.all(-1)
    length = experience.rollouts.own.sum(-1)
    named = {"right": right, "reward": experience.rollouts.reward, "mixed": both, "length": length}
    return {name: values.astype(jnp.float32).mean() for name, values in named.items()}


def speaker(model: PyTree) -> PyTree:
    """Return the language model within a model."""
    return getattr(model, "net", model)


def _problems(world: World) -> Problems:
    if isinstance(world, Problems):
        return world
    name = type(world).__name__
    raise Mismatch(f"PolicyLearner learns from problems, and {name} poses none; `OpChain()` does")
