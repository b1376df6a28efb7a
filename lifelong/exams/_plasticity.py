"""Whether a network can still learn: what its units and features have left to move with."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput, Mismatch
from lifelong.recipe import Number, number
from lifelong.worlds import World

from ._exam import Exam


def effective_rank(singular_values: Float[Array, " n"]) -> Float[Array, ""]:
    """Return exp(−Σ p_i log p_i) with p = σ / Σσ: n for n equal singular values, 1 for a single one, 0 for none.

    Roy and Vetterli 2007, "The Effective Rank: A Measure of Effective Dimensionality", definition 1.
    """
    total = singular_values.sum()
    p = singular_values / jnp.maximum(total, 1e-30)
    entropy = -jnp.where(p > 0, p * jnp.log(jnp.maximum(p, 1e-30)), 0.0).sum()
    return jnp.where(total > 0, jnp.exp(entropy), 0.0)


def srank(singular_values: Float[Array, " n"], delta: Number = 0.01) -> Int[Array, ""]:
    """Return how many of the largest singular values hold a share of 1 − δ of their sum; 0 where all are 0.

    min { k : Σ_{i≤k} σ_i / Σσ ≥ 1 − δ }, with δ = 0.01 of Kumar et al. 2021, "Implicit Under-Parameterization Inhibits
    Data-Efficient Deep Reinforcement Learning", section 3.
    """
    descending = jnp.sort(singular_values)[::-1]
    short = jnp.cumsum(descending) < (1 - delta) * descending.sum()
    return jnp.where(descending.sum() > 0, short.sum() + 1, 0)


class Plasticity(Exam):
    """Ask all test questions, and look at the units, the features and the weights of the network that answers them.

    Layer by layer, with a_u(x) the activation of unit u (a feature map of a convolution is one unit: a share or a mean over
    its places counts), and from all questions at once, with σ the singular values of the matrix of features φ(x):

        active_units    mean over x and u of [a_u(x) > 0]                  fraction of active units (Ma et al. 2023)
        dormant_units   share of u with  E|a_u| / mean_v E|a_v| ≤ τ        dormant neurons (Sokar et al. 2023, definition 3.1)
        effective_rank  `effective_rank(σ)`                                 (Roy and Vetterli 2007)
        srank           `srank(σ, δ)`                                       (Kumar et al. 2021)
        weight_norm     ‖θ‖₂ over all weights

    Features are not centred. For learners whose state holds a `model` with `activations` and `features`, as MLP and ConvNet.

    Args:
        dormant_below: τ; Sokar et al. look at 0, 0.025 and 0.1.
        delta: δ.
        page: questions at a time.
    """

    dormant_below: Number = number(0.025)
    delta: Number = number(0.01)
    page: int = eqx.field(static=True, default=500)

    def __check_init__(self):
        if self.page < 1:
            raise BadInput(f"a page of an exam has at least one question, not {self.page}")

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'active_units': [layers], 'dormant_units': [layers], 'effective_rank': [], …}; raise `Mismatch` where
        the model does not show its activations.
        """
        model, papers = state.model, world.papers(self.page)
        if not hasattr(model, "activations"):
            raise Mismatch(
                f"plasticity is read from hidden units, and {type(model).__name__} has no method `activations(x)` that "
                f"returns those of every layer for one input; give it one, or use a model that has it, such as MLP"
            )

        def turn(carry: tuple[Array, Any], i: Int[Array, ""]) -> tuple[tuple[Array, Any], None]:
            factor, sums = carry
            asked = papers.page(i)
            counts = (asked.weight > 0).astype(jnp.float32)
            features = jax.vmap(model.features)(asked.x) * counts[:, None]
            factor = jnp.linalg.qr(jnp.concatenate([factor, features]), mode="r")
            tallies = [counts @ _by_unit(layer) for layer in jax.vmap(model.activations)(asked.x)]
            return (factor, jax.tree.map(jnp.add, sums, (tallies, counts.sum()))), None

        (factor, (layers, asked)), _ = jax.lax.scan(turn, _nothing(model, papers), jnp.arange(papers.count))
        sigma = jnp.linalg.svd(factor, compute_uv=False)
        active, size = zip(*(jnp.split(layer / asked, 2) for layer in layers), strict=True) if layers else ((), ())
        return {
            "active_units": jnp.asarray([share.mean() for share in active]),
            "dormant_units": jnp.asarray([self._dormant(each) for each in size]),
            "effective_rank": effective_rank(sigma),
            "srank": srank(sigma, self.delta),
            "weight_norm": jnp.sqrt(
                sum((w**2).sum() for w in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
            ),
        }

    def _dormant(self, size: Float[Array, " units"]) -> Float[Array, ""]:
        """Return the share of units whose mean activation is at most τ times that of the layer."""
        return (size <= self.dormant_below * size.mean()).mean()

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Units are counted layer by layer; the rest are single numbers."""
        single = dict.fromkeys(("effective_rank", "srank", "weight_norm"), ())
        return {"active_units": ("layer",), "dormant_units": ("layer",), **single}

    @property
    def whole(self) -> bool:
        """It looks at the model alone."""
        return False


def _by_unit(layer: Float[Array, "n units *places"]) -> Float[Array, "n two_units"]:
    """Return for every unit how often it is above 0, and then how large it is, on the mean over its places."""
    layer = layer.reshape(*layer.shape[:2], -1)
    return jnp.concatenate([(layer > 0).mean(-1), jnp.abs(layer).mean(-1)], axis=-1)


def _nothing(model: Any, papers: Any) -> tuple[Array, Any]:
    """Return the triangular factor of no features, and tallies of no questions."""
    x = eqx.filter_eval_shape(lambda i: papers.page(i).x[0], jnp.int32(0))
    width = eqx.filter_eval_shape(model.features, x).shape[-1]
    layers = eqx.filter_eval_shape(model.activations, x)
    return jnp.zeros((width, width)), ([jnp.zeros(2 * layer.shape[0]) for layer in layers], jnp.float32(0.0))
