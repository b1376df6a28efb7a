"""The learner that never tells classes apart: it learns each of them alone, and asks which makes an example likeliest."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import Info, weighted_mean
from lifelong.nets import VAE, Likelihood, log_evidence, negative_elbo
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Lesson, Mixture, World

from ._learner import Learner, answerable, blank_batch


class GenerativeClassifierState(eqx.Module):
    """A generator and an optimizer for every class (stacked), the noise that answers share, and the classes met."""

    vaes: VAE
    optimizer: PyTree
    noise: Float[Array, "samples latent"]
    seen: Bool[Array, " outputs"]


class GenerativeClassifier(Learner):
    """One generator a class, each trained on its own class alone; the answer is the class with the highest likelihood.

    Of a batch, the examples of class c move only the VAE of c, down the mean of their negative evidence lower bounds (per
    number of an example). Logits are log p(x|c), up to a constant, by importance sampling with noise drawn at birth. No
    gradient crosses classes, so where every class comes in one task alone nothing is forgotten, without any memory (van
    de Ven et al. 2021, "Class-Incremental Learning with Generative Classifiers").

    The defaults are van de Ven's for Split-MNIST: 2 × 85 units, z of 5, Adam with rate 0.001, batches of 128, 50 samples,
    and likelihoods of a Gaussian with variance 1 around what a Bernoulli decoder, trained as such, gives. Their batches
    hold one class each: `Split(tasks=10)`, 1000 steps a task, is their protocol.

    Args:
        vae: called with `shape=` and `key=` it returns the generator of one class.
        optimizer: of every generator, a `Recipe` or an Optax transformation.
        batch: examples in a step.
        classes: learn at most so many classes of a batch, those with most examples; a step costs as much as so many
            generators on the whole batch. None learns all.
        samples: importance samples for each likelihood.
        likelihood: with which answers are judged, 'bernoulli' or 'gaussian'.
    """

    vae: Callable[..., VAE]
    optimizer: Recipe | optax.GradientTransformation
    batch: int = eqx.field(static=True)
    classes: int | None = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    likelihood: Likelihood = eqx.field(static=True)

    def __init__(
        self,
        vae: Callable[..., VAE] | None = None,
        optimizer: Recipe | optax.GradientTransformation | None = None,
        *,
        batch: int = 128,
        classes: int | None = None,
        samples: int = 50,
        likelihood: Likelihood = "gaussian",
    ):
        if min(batch, samples, classes or 1) < 1:
            raise BadInput(f"batch, classes and samples must be at least 1: {batch}, {classes} and {samples}")
        if likelihood not in ("bernoulli", "gaussian"):
            raise BadInput(f"the likelihood must be 'bernoulli' or 'gaussian', not '{likelihood}'")
        self.vae = vae or Recipe(VAE, latent=5, width=85, depth=2)
        self.optimizer = optimizer or Recipe(optax.adam, learning_rate=1e-3)
        self.batch, self.classes, self.samples, self.likelihood = batch, classes, samples, likelihood

    def init(self, world: World, *, key: PRNGKeyArray) -> GenerativeClassifierState:
        """Return a newborn generator for every class of the world."""
        for_vaes, for_noise = jax.random.split(key)
        shape = blank_batch(world, self.batch, key=key).x.shape[1:]
        vaes = eqx.filter_vmap(lambda k: self.vae(shape=shape, key=k))(jax.random.split(for_vaes, world.outputs))
        optimizer = eqx.filter_vmap(self._optimizer().init)(eqx.filter(vaes, eqx.is_inexact_array))
        noise = jax.random.normal(for_noise, (self.samples, vaes.latent))
        return GenerativeClassifierState(vaes, optimizer, noise, jnp.zeros(world.outputs, bool))

    def _optimizer(self) -> optax.GradientTransformation:
        return self.optimizer() if isinstance(self.optimizer, Recipe) else self.optimizer

    def meet(
        self, state: GenerativeClassifierState, world: World, lesson: Lesson | Mixture, *, key: PRNGKeyArray
    ) -> Batch:
        """Return a batch of what the teacher asked for."""
        return world.draw(lesson, self.batch, key=key)

    def learn(
        self, state: GenerativeClassifierState, experience: Batch, *, key: PRNGKeyArray
    ) -> tuple[GenerativeClassifierState, Info]:
        """Let every class in the batch take a step; report the mean bound, and which share of the batch was learned."""
        outputs = len(state.seen)
        of_class = jax.nn.one_hot(experience.y, outputs) * experience.weight[:, None]
        counts, classes = jax.lax.top_k(of_class.sum(0), min(self.classes or outputs, outputs))
        mine, kept = jax.tree.map(lambda leaf: leaf[classes], (state.vaes, state.optimizer))
        step = eqx.filter_vmap(lambda vae, kept, weight: self._step(vae, kept, experience.x, weight, key))
        vaes, optimizer, bounds = step(mine, kept, of_class[:, classes].T)

        def put(old: Array, new: Array) -> Array:
            return old.at[jnp.where(counts > 0, classes, outputs)].set(new, mode="drop")

        vaes, optimizer = jax.tree.map(put, (state.vaes, state.optimizer), (vaes, optimizer))
        met = state.seen.at[classes].max(counts > 0)
        learned = counts.sum() / jnp.maximum(experience.weight.sum(), 1e-9)
        info = {"loss": weighted_mean(bounds, counts), "learned": learned}
        return GenerativeClassifierState(vaes, optimizer, state.noise, met), info

    def _step(
        self, vae: VAE, kept: PyTree, x: Float[Array, "n *shape"], weight: Float[Array, " n"], key: PRNGKeyArray
    ) -> tuple[VAE, PyTree, Float[Array, ""]]:
        """Return one class's generator and optimizer after a step, and the mean bound before it."""

        @eqx.filter_value_and_grad
        def descend(vae: VAE) -> Float[Array, ""]:
            return weighted_mean(negative_elbo(vae, x, key=key), weight) / x[0].size

        bound, slope = descend(vae)
        updates, kept = self._optimizer().update(slope, kept, eqx.filter(vae, eqx.is_inexact_array))
        return eqx.apply_updates(vae, updates), kept, bound

    def answer(
        self,
        state: GenerativeClassifierState,
        x: Float[Array, "n *shape"],
        allowed: Bool[Array, "n outputs"] | None = None,
    ) -> Float[Array, "n outputs"]:
        """Return log p(x|c) for the classes met that an answer may name."""
        likelihood = eqx.filter_vmap(lambda vae: log_evidence(vae, x, state.noise, self.likelihood), out_axes=1)
        return answerable(likelihood(state.vaes), state.seen, allowed)
