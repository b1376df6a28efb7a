"""A gradient learner whose model takes batches as a whole."""

from collections.abc import Callable

import equinox as eqx
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Shaped

from lifelong.errors import Mismatch
from lifelong.feedback import BatchCrossEntropy
from lifelong.recipe import Recipe
from lifelong.worlds import Batch

from ._gradient import GradientLearner, GradientState
from ._learner import answerable


class BatchLearner(GradientLearner):
    """Follow the gradient of a cross-entropy with a model of whole batches: θ′ = θ − optimizer(∇L(θ; batch)).

    For nets that normalise over the batch at hand, and never otherwise: what is answered to one question depends on who else
    is asked with it, as in few-shot learning with batch normalisation, where a support set and the questions about it are
    a batch each. There is no memory.

    Args:
        model: called with `key=` it returns the model, from a batch to its logits: `Recipe(NormedMLP, …)`.
        optimizer: a `Recipe` or a ready Optax transformation.
        batch: examples in a step.
    """

    def __init__(
        self,
        model: Callable[..., PyTree],
        optimizer: Recipe | optax.GradientTransformation | None = None,
        *,
        batch: int = 32,
    ):
        super().__init__(model, BatchCrossEntropy(), optimizer, batch=batch, active="all")

    def _check(self, model: PyTree, like: Batch, outputs: int) -> None:
        try:
            logits = eqx.filter_eval_shape(model, like.x)
        except (TypeError, ValueError) as error:
            raise Mismatch(f"the model cannot take a batch of the shape {like.x.shape}: {error}") from error
        if getattr(logits, "shape", None) != (len(like), outputs):
            raise Mismatch(
                f"the model must answer a batch of {len(like)} with logits of the shape ({len(like)}, {outputs}), not with "
                f"{logits}; build it with outputs={outputs}"
            )

    def answer(
        self,
        state: GradientState,
        x: Shaped[Array, "n *shape"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "n outputs"]:
        """Return the logits of questions that are asked together, over what an answer may name."""
        return answerable(state.model(x), state.seen, allowed)
