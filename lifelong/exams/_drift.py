"""How fast two linear models drift apart whose stages of learning came in different orders, when both unlearn the same.

A stage of learning is a ridge regression around the weights that the last one left,

    θ = argmin ‖Xθ − y‖² + λ‖θ − θ_before‖²,

and unlearning climbs the mean squared error on k rows to forget, θ ← θ + η∇ (1/k)‖X_Uθ − y_U‖². The labels to forget
cancel from the difference of two models: Δ_t = (I + M)^t Δ_0 with M = (2η/k) X_UᵀX_U. What of Δ_0 lies in the span of
the rows grows, the rest stays. All in float64, since growth is exponential (Yu et al. 2025, "On the Impossibility of Retrain
Equivalence in Machine Unlearning", section 3).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lifelong.errors import BadInput

Rows = Float[np.ndarray, "n features"]
Weights = Float[np.ndarray, " features"]


def ridge_stage(x: Rows, y: Float[np.ndarray, " n"], before: Weights | None = None, strength: float = 1.0) -> Weights:
    """Return the weights after a stage that started from `before` (0 unless given), with λ = `strength`."""
    before = np.zeros(x.shape[1]) if before is None else before
    return np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y + strength * before)


def ascended(
    weights: Weights, x: Rows, y: Float[np.ndarray, " n"], rate: float, steps: int
) -> Float[np.ndarray, "looks features"]:
    """Return the weights before, and after each step of climbing the mean squared error on the rows."""
    path = [np.asarray(weights, float)]
    for _ in range(steps):
        path.append(path[-1] + rate * 2 / len(x) * x.T @ (x @ path[-1] - y))
    return np.stack(path)


def log_distances(
    models: Sequence[Weights],
    x: Rows,
    y: Float[np.ndarray, " n"],
    questions: Float[np.ndarray, "m features"],
    rate: float,
    steps: int,
) -> Float[np.ndarray, " looks"]:
    """Return the log of the mean squared difference of two models' answers before and after each step of the same ascent."""
    one, other = (ascended(model, x, y, rate, steps) for model in models)
    return np.log((((one - other) @ questions.T) ** 2).mean(-1) + np.finfo(float).tiny)


class Drift(NamedTuple):
    """What theory says of the mean squared difference d_t of two models' predictions, t = 0 … steps.

    From step `start` on, log d_t ≥ `log_floor[t]` = log(α²‖PΔ_0‖²/4m) + 2t log(1 + λ*), and `growth` is log(1 + λ*).
    """

    start: int
    growth: float
    log_floor: Float[np.ndarray, " looks"]


def drift(
    difference: Weights, forgotten: Rows, questions: Float[np.ndarray, "m features"], rate: float, steps: int
) -> Drift:
    """Return the lower bound on how two models drift apart that differ by Δ_0 when both begin to unlearn.

    P projects on the span of the k rows to forget, λ* = ⟨PΔ_0, M PΔ_0⟩/‖PΔ_0‖², α is the least singular value of the m
    questions on that span, and `start` the first step from which on what lies off the span makes up at most half of what
    lies on it, for all questions together (`steps` + 1 where that is not reached). λ* is a Rayleigh quotient: drift may be
    faster, and in the end is (theorem 3.1 and its proof).

    Raises `BadInput` for rows to forget that are not linearly independent, fewer questions than rows, or a difference
    that they do not see.
    """
    if np.linalg.matrix_rank(forgotten) < len(forgotten) or len(questions) < len(forgotten):
        raise BadInput(
            f"drift needs linearly independent rows to forget and as many questions, and there are {len(forgotten)} "
            f"rows of rank {np.linalg.matrix_rank(forgotten)}, and {len(questions)} questions"
        )
    _, singular, axes = np.linalg.svd(forgotten, full_matrices=False)
    gains = 2 * rate / len(forgotten) * singular**2
    parts = axes @ difference
    if not (total := parts @ parts) > 0:
        raise BadInput("the models do not differ in the span of the rows to forget: there is nothing that could drift")
    t = np.arange(steps + 1)
    grown = np.linalg.norm(questions @ axes.T @ (parts[:, None] * (1 + gains[:, None]) ** t), axis=0)
    still = np.linalg.norm(questions @ (difference - axes.T @ parts))
    late = np.flatnonzero(2 * still > grown)
    growth = np.log1p(gains @ parts**2 / total)
    alpha = np.linalg.svd(questions @ axes.T, compute_uv=False)[-1]
    start = np.log(alpha**2 * total / (4 * len(questions)))
    return Drift(int(late[-1]) + 1 if len(late) else 0, float(growth), start + 2 * t * growth)
