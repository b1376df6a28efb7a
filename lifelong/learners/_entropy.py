"""Forward-only learning: every layer lowers an entropy of its own, and no error is sent back."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Shaped

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import Info
from lifelong.nets import SigmoidNet
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Lesson, Mixture, World

from ._learner import Learner, blank_batch


class EntropyState(eqx.Module):
    """The network, and what it was one step before."""

    model: SigmoidNet
    previous: SigmoidNet


def entropy_slope(
    z: Float[Array, "n units"], d: Float[Array, "n units"], change: Float[Array, "n units"]
) -> Float[Array, "n units"]:
    """Return G = −(z ⊙ d ⊙ (1−d) + ΔD) / ln 2, the local slope of a layer's entropy in its knowledge z.

    d are its decisions and ΔD their change since the last step (Mahi 2025, code).
    """
    return -(z * d * (1 - d) + change) / math.log(2)


def knowledge_flow(
    before: SigmoidNet, after: SigmoidNet, x: Float[Array, "n *shape"], step: Number
) -> dict[str, Float[Array, " layers"]]:
    """Return, layer by layer, what one step of any rule did to the knowledge of a batch; `step` is its time η.

    entropy = −Σ z ⊙ ΔD / ln 2;  alignment = ⟨z, ΔD⟩ / (‖z‖ ‖ΔD‖), 0 where nothing moved;  flow = ‖Δz‖ / η;
    tensor_net = Σ Δz ⊙ (D − ∇_z H) with ∇_z H = −z D(1−D) / ln 2 as the paper writes it, and tensor_net_flipped with
    the opposite sign of ∇_z H, as its code has it.
    """
    rows = zip(jax.vmap(before.knowledge)(x), jax.vmap(after.knowledge)(x), strict=True)
    return jax.tree.map(lambda *layers: jnp.stack(layers), *[_layer_flow(old, new, step) for old, new in rows])


def _layer_flow(old: Float[Array, "n units"], z: Float[Array, "n units"], step: Number) -> dict[str, Float[Array, ""]]:
    d, moved = jax.nn.sigmoid(z), z - old
    change, slope = d - jax.nn.sigmoid(old), -z * d * (1 - d) / math.log(2)
    product, lengths = (z * change).sum(), jnp.sqrt((z**2).sum() * (change**2).sum())
    return {
        "entropy": -product / math.log(2),
        "alignment": jnp.where(lengths > 0, product / jnp.maximum(lengths, 1e-30), 0.0),
        "flow": jnp.sqrt((moved**2).sum()) / step,
        "tensor_net": (moved * (d - slope)).sum(),
        "tensor_net_flipped": (moved * (d + slope)).sum(),
    }


class EntropyLearner(Learner):
    """Structured knowledge accumulation (Mahi 2025): forward passes alone, no labels, no error, no gradient.

    W_l ← W_l − η · mean(G_l p_{l−1}ᵀ),  b_l ← b_l − η · mean(G_l),  G_l = −s (z_l ⊙ d_l ⊙ (1−d_l) + γ ΔD_l) / ln 2,

    where p_{l−1} is x for the first layer and what the layer below decided *one step before* for the others. ΔD_l is how
    the decisions on this batch differ from those of the network one step before, so it is 0 at the first step, and the
    order of the examples does not matter. The paper shows one batch of all examples again and again.

    Args:
        model: called with `key=` it returns a `SigmoidNet`.
        learning_rate: η, read as a step of time; 0.01 in the paper.
        change: γ, the weight of ΔD; 0 leaves it out.
        sign: s; −1 climbs the entropy.
        batch: examples in a step.
    """

    model: Callable[..., SigmoidNet]
    learning_rate: Number = number(0.01)
    change: Number = number(1.0)
    sign: Number = number(1.0)
    batch: int = eqx.field(static=True, default=1000)

    def __check_init__(self):
        if self.batch < 1:
            raise BadInput(f"a learner needs at least one example at a time: batch={self.batch}")

    def init(self, world: World, *, key: PRNGKeyArray) -> EntropyState:
        """Return a fresh network; raise `Mismatch` where it does not fit the world."""
        model, like = self.model(key=key), blank_batch(world, self.batch, key=key)
        if model.weights[0].shape[1] != like.x[0].size or len(model.biases[-1]) != world.outputs:
            raise Mismatch(
                f"the network takes {model.weights[0].shape[1]} numbers and gives {len(model.biases[-1])}, and the world "
                f"shows {like.x[0].size} and has {world.outputs} classes; build it with sizes that begin and end so"
            )
        return EntropyState(model, model)

    def meet(self, state: EntropyState, world: World, lesson: Lesson | Mixture, *, key: PRNGKeyArray) -> Batch:
        """Return a batch of what the teacher asked for."""
        return world.draw(lesson, self.batch, key=key)

    def learn(self, state: EntropyState, experience: Batch, *, key: PRNGKeyArray) -> tuple[EntropyState, Info]:
        """Let every layer take one step; return the new state and the `knowledge_flow` of the step."""
        x, now, before = experience.x, state.model, state.previous
        share = experience.weight / jnp.maximum(experience.weight.sum(), 1.0)
        z, old = jax.vmap(now.knowledge)(x), jax.vmap(before.activations)(x)
        slopes = [share[:, None] * self._slope(*layer) for layer in zip(z, old, strict=True)]
        below = [x.reshape(len(x), -1), *old[:-1]]
        rate = self.learning_rate
        model = eqx.tree_at(
            lambda net: (net.weights, net.biases),
            now,
            (
                tuple(w - rate * g.T @ p for w, g, p in zip(now.weights, slopes, below, strict=True)),
                tuple(b - rate * g.sum(0) for b, g in zip(now.biases, slopes, strict=True)),
            ),
        )
        return EntropyState(model, now), knowledge_flow(now, model, x, rate)

    def _slope(self, z: Float[Array, "n units"], old: Float[Array, "n units"]) -> Float[Array, "n units"]:
        d = jax.nn.sigmoid(z)
        return self.sign * entropy_slope(z, d, self.change * (d - old))

    def answer(
        self,
        state: EntropyState,
        x: Shaped[Array, "n *shape"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "n outputs"]:
        """Return the decisions of the last layer: they name no classes, since no label was ever seen."""
        return jax.vmap(state.model)(x)
