"""Learners that learn from episodes how to learn from a few examples."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray, PyTree, Shaped

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import Info, cross_entropy_of
from lifelong.keys import key_for
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Episode, FewShot, Lesson, World

from ._gradient import GradientLearner, GradientState
from ._learner import Learner


class Start(eqx.Module):
    """Where learning starts in every episode, which is what is learned over episodes: a model, and rates where they are too."""

    model: PyTree
    rates: PyTree = None


class FewShotState(eqx.Module):
    """The start, all else that a newborn student has, and the outer optimizer's state."""

    start: Start
    student: GradientState
    optimizer: PyTree

    def born(self, start: Start) -> GradientState:
        """Return a student with the model of a start."""
        return _with_model(self.student, start.model)


class FewShotLearner(Learner):
    """Descend, over episodes, the loss on the questions of an episode after its support set has been met.

    One step: start′ = start − optimizer(∇ mean over episodes of `objective`(start; episode)). A learner of this kind
    implements `objective` and `solve`.

    Args:
        learner: the student: its model is where an episode starts, its feedback is the loss on the questions.
        optimizer: the outer one, Adam with a rate of 0.001 unless stated.
        episodes: in a step; 4 unless stated.
        at_once: how many of them are adapted to side by side, all unless stated. The gradient is the same; fewer need less
            memory, and on a CPU less time where all the adapted models outgrow its cache. `Reptile` always takes all.

    Raises BadInput for fewer than one episode, or a number at once that does not divide them, Mismatch for a world without
    episodes.
    """

    learner: GradientLearner
    optimizer: Recipe | optax.GradientTransformation = eqx.field(
        default_factory=lambda: Recipe(optax.adam, learning_rate=1e-3), kw_only=True
    )
    episodes: int = eqx.field(static=True, default=4, kw_only=True)
    at_once: int | None = eqx.field(static=True, default=None, kw_only=True)

    def __check_init__(self):
        if self.episodes < 1:
            raise BadInput(f"a step needs at least one episode, not {self.episodes}")
        if self.at_once is not None and (self.at_once < 1 or self.episodes % self.at_once):
            raise BadInput(f"{self.episodes} episodes cannot be taken {self.at_once} at a time: it must divide them")

    def init(self, world: World, *, key: PRNGKeyArray) -> FewShotState:
        """Return a start, of a fresh model of the student's; raise `Mismatch` where the model does not fit the world."""
        if not isinstance(world, FewShot):
            raise Mismatch(
                f"{type(self).__name__} learns from episodes, and {type(world).__name__} has none; "
                "take a world such as FewShotClasses or Sines"
            )
        student = self.learner.init(_Support(world), key=key)  # pyright: ignore[reportCallIssue]
        start = self.begin(student.model)
        optimizer = self._outer().init(eqx.filter(start, eqx.is_inexact_array))
        return FewShotState(start, _with_model(student, None), optimizer)

    def begin(self, model: PyTree) -> Start:
        """Return the start before anything was learned."""
        return Start(model)

    def _outer(self) -> optax.GradientTransformation:
        return self.optimizer() if isinstance(self.optimizer, Recipe) else self.optimizer

    def meet(self, state: FewShotState, world: FewShot, lesson: Lesson, *, key: PRNGKeyArray) -> Episode:
        """Return fresh episodes, along a leading axis."""
        return world.draw(lesson, self.episodes, key=key)

    def learn(self, state: FewShotState, experience: Episode, *, key: PRNGKeyArray) -> tuple[FewShotState, Info]:
        """Take one step of the outer optimizer; return the new state and the mean of what episodes report."""
        gradient, info = self.slope(state, experience, jax.random.split(key, self.episodes))
        updates, optimizer = self._outer().update(
            gradient, state.optimizer, eqx.filter(state.start, eqx.is_inexact_array)
        )
        return FewShotState(eqx.apply_updates(state.start, updates), state.student, optimizer), info

    def slope(self, state: FewShotState, episodes: Episode, keys: Key[Array, " episodes"]) -> tuple[PyTree, Info]:
        """Return the gradient of the mean objective over episodes, and the mean of their infos."""
        if self.at_once is None:
            return self._slope(state, episodes, keys)
        rounds = self.episodes // self.at_once
        given = jax.tree.map(lambda leaf: leaf.reshape(rounds, self.at_once, *leaf.shape[1:]), (episodes, keys))

        def add(total: PyTree, some: tuple[Episode, Key[Array, " some"]]) -> tuple[PyTree, Info]:
            slope, info = self._slope(state, *some)
            return jax.tree.map(jnp.add, total, slope), info

        nothing = jax.tree.map(jnp.zeros_like, eqx.filter(state.start, eqx.is_inexact_array))
        total, infos = jax.lax.scan(add, nothing, given)
        return jax.tree.map(lambda s: s / rounds, total), jax.tree.map(lambda values: values.mean(0), infos)

    def _slope(self, state: FewShotState, episodes: Episode, keys: Key[Array, " some"]) -> tuple[PyTree, Info]:
        def mean(start: Start) -> tuple[Float[Array, ""], Info]:
            each = jax.vmap(lambda episode, key: self.objective(start, state, episode, key=key))
            return jax.tree.map(lambda values: values.mean(0), each(episodes, keys))

        return eqx.filter_grad(mean, has_aux=True)(state.start)

    def objective(
        self, start: Start, state: FewShotState, episode: Episode, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Info]:
        """Return the loss on an episode as a function of the start, and what is worth recording."""
        raise NotImplementedError

    def solve(
        self, state: FewShotState, support: Batch, x: Shaped[Array, "n *shape"], *, key: PRNGKeyArray
    ) -> Float[Array, "looks n outputs"]:
        """Return the answers to the questions of an episode; the last row is the answer, those before lead to it."""
        raise NotImplementedError

    def answer(
        self,
        state: FewShotState,
        x: Shaped[Array, "n *shape"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "n outputs"]:
        """Return the answers of the start, which no support set has been shown."""
        return self.learner.answer(state.born(state.start), x, allowed)


class ProtoNet(FewShotLearner):
    """Answer with the class whose mean lies nearest: logits −‖f(x) − c_k‖², c_k the mean of f over the support of class k.

    f is what `features` of the student's model gives; its head is not used (Snell et al. 2017, "Prototypical Networks for
    Few-shot Learning", algorithm 1).
    """

    def objective(
        self, start: Start, state: FewShotState, episode: Episode, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Info]:
        """Return the cross-entropy of the questions."""
        return cross_entropy_of(_by_distance(start.model, state, *episode), episode.query)

    def solve(
        self, state: FewShotState, support: Batch, x: Shaped[Array, "n *shape"], *, key: PRNGKeyArray
    ) -> Float[Array, "looks n outputs"]:
        """Return the one answer there is."""
        query = Batch(x, jnp.zeros(len(x), jnp.int32), jnp.zeros(len(x), jnp.int32), jnp.ones(len(x)))
        return _by_distance(state.start.model, state, support, query)[None]


def _by_distance(model: PyTree, state: FewShotState, support: Batch, query: Batch) -> Float[Array, "n outputs"]:
    member = jax.nn.one_hot(support.y, len(state.student.seen)) * support.weight[:, None]
    shown, asked = jax.vmap(model.features)(support.x), jax.vmap(model.features)(query.x)
    means = member.T @ shown / jnp.maximum(member.sum(0), 1.0)[:, None]
    return -((asked[:, None] - means) ** 2).sum(-1)


class _Support(World):
    """What a student sees of a world of episodes: the support set of one."""

    world: FewShot

    @property
    def tasks(self) -> int:
        """The one at hand."""
        return 1

    @property
    def outputs(self) -> int:
        """The outputs of the world of episodes."""
        return self.world.outputs

    def draw(self, lesson: Any, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return the whole support set of an episode."""
        return self.world.deal(jnp.int32(0), key=key_for(key, "support")).support


def _with_model(student: GradientState, model: PyTree) -> GradientState:
    return eqx.tree_at(lambda s: s.model, student, model, is_leaf=lambda node: node is None)
