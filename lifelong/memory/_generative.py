"""Generative replay: dream up examples of the past instead of storing them."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import FORBIDDEN, kullback_leibler, weighted_mean
from lifelong.nets import VAE, negative_elbo
from lifelong.recipe import Number, Recipe, number
from lifelong.worlds import Batch, Pages

from ._base import Loss, Memory, Step
from ._importance import weights


class Generated(NamedTuple):
    """Examples that the generator of the last task's end makes up, and the logits of the model of then."""

    x: Float[Array, "n *shape"]
    logits: Float[Array, "n outputs"]


class GenerativeState(NamedTuple):
    """What generative replay keeps: the generator that learns, and generator and model as the last task left them.

    `heads` are the sets of classes that the old model may be asked about: one row where tasks are unknown; where they are
    known a row a class, which holds the classes of its task (none before that task has ended).
    """

    generator: VAE
    optimizer: PyTree
    past: VAE
    old: PyTree
    heads: Bool[Array, "heads outputs"]
    finished: Int[Array, ""]


class GenerativeReplay(Memory):
    """Deep generative replay: a generator learns beside the model, and both rehearse what it made of earlier tasks.

    In the k-th task, with x̃ made by generator and labelled by model as both were at the end of the last task,

        L_model = r · L(θ; batch) + (1 − r) · λ · mean D(x̃),         L_generator = r · E(batch) + (1 − r) · E(x̃),

    E the negative evidence lower bound per number of an example (Shin et al. 2017, "Continual Learning with Deep Generative
    Replay", equation 4). Before the first task has ended r = 1. With h the logits and o those of the old model,

        'hard':  D = −log softmax(h(x̃))[argmax o(x̃)],      'soft':  D = T² · KL(softmax(o(x̃)/T) ‖ softmax(h(x̃)/T)).

    The softmax of h runs over the classes that the current batch may name, that of o over those its task's review could.
    Where tasks are known, an example made up belongs to none of them: D is its mean over the heads of all finished tasks,
    each among its own classes. Needs to be told of the ends of tasks.

    The defaults are van de Ven et al. 2022, "Three types of incremental learning" (DGR): r = 1/k, a VAE of 2 × 400 units
    and z of 100, Adam with rate 0.001 kept over tasks, one step a step of the learner, as many examples made up as met (128).
    Their 'DGR + distill' lacks the T²: `targets="soft", strength=1/T²`.

    Args:
        vae: called with `shape=` and `key=` it returns the generator; inputs must lie in 0 … 1 unless its likelihood is
            'gaussian'.
        optimizer: of the generator, a `Recipe` or an Optax transformation.
        batch: examples made up in a step.
        share: r; None is 1/k in the k-th task, 1 is plain fine-tuning.
        strength: λ.
        targets: 'hard' or 'soft'.
        temperature: T; hard targets do not use it.
    """

    vae: Callable[..., VAE]
    optimizer: Recipe | optax.GradientTransformation
    share: Float[Array, ""] | None
    strength: Number = number(1.0)
    temperature: Number = number(2.0)
    batch: int = eqx.field(static=True, default=128)
    targets: Literal["hard", "soft"] = eqx.field(static=True, default="hard")

    def __init__(
        self,
        vae: Callable[..., VAE] | None = None,
        optimizer: Recipe | optax.GradientTransformation | None = None,
        *,
        batch: int = 128,
        share: Number | None = None,
        strength: Number = 1.0,
        targets: Literal["hard", "soft"] = "hard",
        temperature: Number = 2.0,
    ):
        if batch < 1:
            raise BadInput(f"generative replay needs at least one example at a time, not batch={batch}")
        if targets not in ("hard", "soft"):
            raise BadInput(f"the targets must be 'hard' or 'soft', not '{targets}'")
        self.vae = vae or Recipe(VAE)
        self.optimizer = optimizer or Recipe(optax.adam, learning_rate=1e-3)
        self.share = None if share is None else jnp.asarray(share, jnp.float32)
        self.strength, self.temperature = jnp.asarray(strength, jnp.float32), jnp.asarray(temperature, jnp.float32)
        self.batch, self.targets = batch, targets

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> GenerativeState:
        """Return a newborn generator, and nothing to rehearse."""
        vae = self.vae(shape=like.x.shape[1:], key=key)
        outputs = eqx.filter_eval_shape(model, like.x[0]).shape[-1]
        heads = jnp.zeros((1 if like.allowed is None else outputs, outputs), bool)
        return GenerativeState(vae, self._optimizer().init(weights(vae)), vae, model, heads, jnp.int32(0))

    def _optimizer(self) -> optax.GradientTransformation:
        return self.optimizer() if isinstance(self.optimizer, Recipe) else self.optimizer

    def recall(self, m: GenerativeState, *, key: PRNGKeyArray) -> Generated:
        """Return examples made up, and what the old model answers."""
        x = m.past.sample(self.batch, key=key)
        return Generated(x, jax.vmap(m.old)(x))

    def weigh(self, m: GenerativeState, batch: Batch, recalled: Generated) -> Float[Array, ""]:
        """Return r."""
        share = 1.0 / (m.finished + 1.0) if self.share is None else self.share
        return jnp.where(m.finished > 0, share, 1.0)

    def penalty(
        self, m: GenerativeState, model: PyTree, batch: Batch, recalled: Generated, loss: Loss
    ) -> Float[Array, ""]:
        """Return (1 − r) · λ times the mean of D."""
        logits = jax.vmap(model)(recalled.x)
        now = jnp.ones(logits.shape[-1], bool) if batch.allowed is None else batch.allowed.any(0)

        def distance(head: Bool[Array, " outputs"]) -> Float[Array, ""]:
            return self._distance(recalled.logits, head, logits, now if len(m.heads) == 1 else head).mean()

        apart = weighted_mean(jax.vmap(distance)(m.heads), m.heads.any(1).astype(jnp.float32))
        return (1 - self.weigh(m, batch, recalled)) * self.strength * apart

    def _distance(self, old: Array, asked: Array, new: Array, named: Array) -> Float[Array, " n"]:
        """Return D for every example, with the old answers among some classes and the new ones among others."""
        old, new = jnp.where(asked, old, FORBIDDEN), jnp.where(named, new, FORBIDDEN)
        if self.targets == "hard":
            return kullback_leibler(jax.nn.one_hot(old.argmax(-1), old.shape[-1]), new)
        return self.temperature**2 * kullback_leibler(jax.nn.softmax(old / self.temperature), new / self.temperature)

    def keep(self, m: GenerativeState, step: Step, *, key: PRNGKeyArray) -> GenerativeState:
        """Let the generator take a step on the batch and on what was rehearsed."""
        batch, made = step.batch, step.recalled
        share = self.weigh(m, batch, made)

        @eqx.filter_grad
        def slope(vae: VAE) -> Float[Array, ""]:
            bounds = negative_elbo(vae, jnp.concatenate([batch.x, made.x]), key=key) / made.x[0].size
            now, then = weighted_mean(bounds[: len(batch)], batch.weight), bounds[len(batch) :].mean()
            return share * now + (1 - share) * then

        updates, optimizer = self._optimizer().update(slope(m.generator), m.optimizer, weights(m.generator))
        return m._replace(generator=eqx.apply_updates(m.generator, updates), optimizer=optimizer)

    def consolidate(
        self, m: GenerativeState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, GenerativeState]:
        """Let generator and model of now be those that later tasks rehearse from."""
        allowed = review.page(jnp.int32(0)).allowed
        named = jnp.ones(m.heads.shape[1], bool) if allowed is None else allowed.any(0)
        heads = named[None] if len(m.heads) == 1 else jnp.where(named[:, None], named, m.heads)
        return model, m._replace(past=m.generator, old=model, heads=heads, finished=m.finished + 1)
