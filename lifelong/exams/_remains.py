"""How much of what was unlearned is left: what losses give away, how fast it comes back, how far a reference is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree
from numpy.typing import ArrayLike
from scipy.optimize import root_scalar
from scipy.special import ndtri
from scipy.stats import rankdata

from lifelong.errors import BadInput
from lifelong.feedback import permitted, weighted_mean
from lifelong.memory import Loss
from lifelong.memory._unlearning import followed, turn_of
from lifelong.recipe import Recipe
from lifelong.worlds import Batch


class Auc(NamedTuple):
    """An area under the receiver operating characteristic, and its 95 % interval."""

    value: float
    low: float
    high: float


def membership_auc(members: ArrayLike, others: ArrayLike) -> Auc:
    """Return how well a threshold on the loss tells examples that were learned from others that were not.

    AUC = P(loss of a member < loss of another) + ½ P(equal), from losses of shapes (n,) and (m,): ½ where they give nothing
    away, 1 where every member has the lower loss; below ½ members stand out by *higher* losses, which gives them away as
    well (Yeom et al. 2018, "Privacy Risk in Machine Learning", section 3). The interval is the score interval of Newcombe 2006
    ("Confidence intervals for an effect size measure based on the Mann-Whitney statistic", method 5): all θ with

        |AUC − θ| ≤ 1.96 √V(θ),   V(θ) = θ(1−θ) [1 + N(1−θ)/(2−θ) + Nθ/(1+θ)] / nm,   N = (n+m)/2 − 1.

    An AUC near ½ says that this attack fails, not that every attack does.

    Raises:
        BadInput: fewer than two members or others, or losses that are not finite.
    """
    members, others = _losses(members, "members"), _losses(others, "others")
    n, m = len(members), len(others)
    ranks = rankdata(np.concatenate([others, members]))
    value = float((ranks[:m].sum() - m * (m + 1) / 2) / (n * m))

    def beyond(theta: float) -> float:
        spread = theta * (1 - theta) * (1 + (n + m - 2) / 2 * ((1 - theta) / (2 - theta) + theta / (1 + theta)))
        return abs(value - theta) - float(ndtri(0.975)) * np.sqrt(spread / (n * m))

    return Auc(value, _edge(beyond, 0.0, value), _edge(beyond, 1.0, value))


def _edge(beyond: Callable[[float], float], end: float, value: float) -> float:
    """Return where between the end of the scale and the value an interval ends."""
    inside = min(max(value, 1e-9), 1 - 1e-9)
    return end if value == end else float(root_scalar(beyond, bracket=(end, inside), method="brentq").root)


def _losses(values: Any, whose: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise BadInput(f"the losses of {whose} must be two or more finite numbers, and their shape is {values.shape}")
    return values


def accuracy_on(model: PyTree, batch: Batch) -> Float[Array, ""]:
    """Return the weighted share of examples that a model answers correctly, among the classes it may name."""
    right = _logits(model, batch).argmax(-1) == batch.y
    return weighted_mean(right.astype(jnp.float32), batch.weight)


def relearning_curve(
    model: PyTree,
    train: Batch,
    test: Batch,
    loss: Loss,
    *,
    optimizer: Recipe | optax.GradientTransformation | None = None,
    steps: int = 100,
    batch: int = 32,
    every: int = 1,
    key: PRNGKeyArray,
) -> Float[Array, " looks"]:
    """Return the accuracy on `test` before, and after every `every`-th of `steps` steps of learning from `train`.

    Pure, for `jit` and `vmap`. All weights learn, on shuffled passes, with a fresh optimizer (Adam with a learning rate
    of 10⁻³ unless stated).
    """
    chosen = optimizer or Recipe(optax.adam, learning_rate=1e-3)
    seed = jax.random.bits(key, (), jnp.uint32)

    def objective(now: PyTree, i: Int[Array, ""]) -> Float[Array, ""]:
        return loss(now, turn_of(train, i, batch, seed))

    return followed(model, objective, chosen, steps, lambda now: accuracy_on(now, test), every)


def steps_to_reach(curve: ArrayLike, level: float | ArrayLike, every: int = 1) -> Int[np.ndarray, "..."]:
    """Return the steps until a curve, looked at every `every` steps from step 0, first reaches a level.

    `curve` has the shape (*lanes, looks) and `level` one value, or one a lane.

    A curve that never does counts as reaching it one look after its last: the least that it could have taken.
    """
    reached = np.asarray(curve) >= np.asarray(level)[..., None]
    return np.asarray(every * np.where(reached.any(-1), reached.argmax(-1), reached.shape[-1]))


def prediction_distance(a: PyTree, b: PyTree, batch: Batch) -> Float[Array, ""]:
    """Return the mean of ‖softmax a(x) − softmax b(x)‖² over a batch: 0 for equal predictions, at most 2.

    Retrain equivalence to within ε is a distance of at most ε from the retrained model on any test set (Yu et al. 2025,
    "On the Impossibility of Retrain Equivalence in Machine Unlearning", definition 2.1).
    """
    p, q = (jax.nn.softmax(_logits(model, batch)) for model in (a, b))
    return weighted_mean(((p - q) ** 2).sum(-1), batch.weight)


def agreement(a: PyTree, b: PyTree, batch: Batch) -> Float[Array, ""]:
    """Return the weighted share of examples to which two models give the same answer."""
    same = _logits(a, batch).argmax(-1) == _logits(b, batch).argmax(-1)
    return weighted_mean(same.astype(jnp.float32), batch.weight)


def _logits(model: PyTree, batch: Batch) -> Float[Array, "n outputs"]:
    return permitted(jax.vmap(model)(batch.x), batch)
