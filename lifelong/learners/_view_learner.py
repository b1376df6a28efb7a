"""Learning representations without labels, from views."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree, Shaped

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import BYOL, MYOW, Info, InfoNCE, SwappedClusters, Views
from lifelong.keys import key_for
from lifelong.memory import ViewMiner
from lifelong.nets import Moments, ViewNetwork
from lifelong.recipe import Number, Recipe
from lifelong.worlds import Glimpses, Lesson, Mixture, World, glimpses

from ._learner import Learner, blank_batch

REMEMBERED = 0.99
"""How much of the moments by which answers are normalised is kept at each step."""


def averaged(slow: PyTree, fast: PyTree, decay: Number) -> PyTree:
    """Return the exponential moving average ξ ← τ ξ + (1 − τ) θ of every number of two trees."""
    return jax.tree.map(
        lambda old, new: decay * old + (1 - decay) * new if eqx.is_inexact_array(new) else new, slow, fast
    )


class ViewState(eqx.Module):
    """The model, its slow copy, the optimizer, the moments by which answers are normalised, and the steps taken."""

    model: ViewNetwork
    target: ViewNetwork
    optimizer: PyTree
    moments: Moments
    step: Int[Array, ""]


class ViewLearner(Learner):
    """Learn to represent views alike, with a slow copy of itself as a target and views mined from a pool.

    In a step the world shows pairs that belong together, examples in search of views, and a pool of candidates, and every
    one of them is seen through random views. The encoder represents those that search, its slow copy the pool, and the
    `miner` picks one candidate for each. Then θ ← θ − optimizer(∇ feedback) and the target follows: ξ ← τ ξ + (1 − τ) θ.
    It answers with representations, which an exam may probe; labels are read for no purpose but to report `purity`, the
    share of mined views that have the label of whom they were mined for.

    Args:
        model: called with `key=` it returns a `ViewNetwork`.
        views: from a batch of examples (and `key=`) to random views of them, such as `NeuralViews()` or `RandomViews()`.
        feedback: `BYOL`, `MYOW`, `InfoNCE` or `SwappedClusters`; MYOW unless stated.
        optimizer: a `Recipe` or an Optax transformation; Adam with a rate of 0.001 unless stated.
        miner: where mined views come from.
        decay: τ; 0.99 as in Grill et al. 2020 at its start.
        batch, candidates: pairs in a step, and examples in the pool; 256 and 512 in the code of Azabou et al. 2021.
        alike: whether both of a pair are seen through the same random view, as moments of one recording are.

    Raises BadInput for sizes below 1, or a pool smaller than what the miner picks from.
    """

    model: Callable[..., ViewNetwork]
    views: Callable[..., Array]
    feedback: BYOL | MYOW | InfoNCE | SwappedClusters
    optimizer: Recipe | optax.GradientTransformation
    miner: ViewMiner
    decay: Number
    batch: int = eqx.field(static=True)
    candidates: int = eqx.field(static=True)
    alike: bool = eqx.field(static=True)

    def __init__(
        self,
        model: Callable[..., ViewNetwork],
        views: Callable[..., Array],
        feedback: BYOL | MYOW | InfoNCE | SwappedClusters | None = None,
        optimizer: Recipe | optax.GradientTransformation | None = None,
        miner: ViewMiner | None = None,
        *,
        decay: Number = 0.99,
        batch: int = 256,
        candidates: int = 512,
        alike: bool = False,
    ):
        self.model, self.views, self.feedback = model, views, feedback or MYOW()
        self.optimizer = optimizer or Recipe(optax.adam, learning_rate=1e-3)
        self.miner, self.decay = miner or ViewMiner(), jnp.asarray(decay, jnp.float32)
        self.batch, self.candidates, self.alike = batch, candidates, alike
        if batch < 1 or candidates < self.miner.k:
            raise BadInput(
                f"a step needs at least one pair and {self.miner.k} candidates: batch={batch}, candidates={candidates}"
            )

    def init(self, world: World, *, key: PRNGKeyArray) -> ViewState:
        """Return a fresh model and a target that equals it; raise `Mismatch` where the encoder does not fit the world."""
        model, x = self.model(key=key), blank_batch(world, self.batch, key=key).x
        try:
            moments = jax.tree.map(lambda s: jnp.zeros(s.shape), eqx.filter_eval_shape(model.encoder.moments, x))
            eqx.filter_eval_shape(lambda net, x: net.predict(net.project(net.represent(x))), model, x)
        except (TypeError, ValueError) as error:
            raise Mismatch(
                f"the network cannot represent the world's inputs of shape {x.shape[1:]}, or project what its encoder "
                f"makes of them: {error}"
            ) from error
        optimizer = self._optimizer().init(eqx.filter(model, eqx.is_inexact_array))
        return ViewState(model, model, optimizer, moments, jnp.int32(0))

    def _optimizer(self) -> optax.GradientTransformation:
        return self.optimizer() if isinstance(self.optimizer, Recipe) else self.optimizer

    def meet(self, state: ViewState, world: World, lesson: Lesson | Mixture, *, key: PRNGKeyArray) -> Glimpses:
        """Return what the world shows, through random views."""
        shown = glimpses(world, lesson, self.batch, self.candidates, key=key_for(key, "glimpses"))
        first = key_for(key, "one")
        keys = first, first if self.alike else key_for(key, "other"), key_for(key, "asked"), key_for(key, "pool")
        parts = (shown.one, shown.other, shown.asked.x, shown.pool.x)
        seen = [self.views(x, key=k) for x, k in zip(parts, keys, strict=True)]
        return eqx.tree_at(lambda s: (s.one, s.other, s.asked.x, s.pool.x), shown, seen)

    def learn(self, state: ViewState, experience: Glimpses, *, key: PRNGKeyArray) -> tuple[ViewState, Info]:
        """Take one step; return the new state, what the feedback reports, and the purity of mined views."""
        model, target = state.model, state.target
        mined, report = self.mine(state, experience, key=key_for(key, "mine"))
        seen = Views(experience.one, experience.other, experience.asked.x, mined, target, state.step)
        gradient, info = eqx.filter_grad(self.feedback, has_aux=True)(model, seen, key=key_for(key, "feedback"))
        updates, optimizer = self._optimizer().update(
            gradient, state.optimizer, eqx.filter(model, eqx.is_inexact_array)
        )
        kept = jnp.where(state.step > 0, REMEMBERED, 0.0)
        moments = averaged(state.moments, model.encoder.moments(experience.one), kept)
        new = eqx.apply_updates(model, updates)
        return ViewState(new, averaged(target, new, self.decay), optimizer, moments, state.step + 1), info | report

    def mine(
        self, state: ViewState, experience: Glimpses, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, "n features"] | None, Info]:
        """Return the target's representations of views mined for those asked about, and how pure they are; nothing where
        the feedback makes no use of them.
        """
        if not isinstance(self.feedback, MYOW):
            return None, {}
        asked, pool = experience.asked, experience.pool
        represented = state.target.represent(pool.x)
        same = asked.y[:, None] == pool.y
        picked = self.miner(state.model.represent(asked.x), represented, experience.may, same, key=key)
        return represented[picked], {"purity": (asked.y == pool.y[picked]).mean()}

    def answer(
        self,
        state: ViewState,
        x: Shaped[Array, "n *shape"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "n features"]:
        """Return representations, normalised by the moments of the views seen so far; they name no classes."""
        return state.model.represent(x, state.moments)
