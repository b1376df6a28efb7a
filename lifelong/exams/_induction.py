"""Whether a network answers from its context, and what announces that it will."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from lifelong.errors import BadInput
from lifelong.worlds import InContext

from ._exam import Exam


class Induction(Exam):
    """Ask for the last item of the sequences of all parts of a world, and look at attention while they are answered.

    Of every part:

    - `accuracy`: the share of right answers;
    - `among_shown`: of answers that are one of the context's labels, right or wrong (CLA);
    - `to_item`: attention from labels to the item just before them, in the first layer, on average (ILA1);
    - `to_answer`: attention from the target to labels that are the answer, in the last layer, in sum (TILA2);
    - `to_labels`: the same to all labels (TLA2).

    For learners whose model has `attention`, such as `AttentionOnly` (measures of Reddy 2023, "The mechanistic basis of data
    dependence and abrupt learning in an in-context classification task", section 3).

    Args:
        page: sequences at a time.
    """

    page: int = eqx.field(static=True, default=256)

    def sit(self, state: Any, learner: Any, world: InContext, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return all measures, [parts] each."""
        papers = world.papers(self.page)

        def mark(i: Array) -> tuple[dict[str, Array], Array]:
            asked = papers.page(i)
            answer = learner.answer(state, asked.x, asked.allowed).argmax(-1)
            seen = jax.vmap(lambda *of_one: _looked(state.model, world.outputs, *of_one))(asked.x, asked.y, answer)
            of_part = jax.nn.one_hot(asked.task, world.tasks) * asked.weight[:, None]
            return jax.tree.map(lambda values: values @ of_part, seen), of_part.sum(0)

        sums, count = jax.lax.map(mark, jnp.arange(papers.count))
        return {name: values.sum(0) / count.sum(0) for name, values in sums.items()}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One value a part."""
        return dict.fromkeys(("accuracy", "among_shown", "to_item", "to_answer", "to_labels"), ("part",))

    @property
    def whole(self) -> bool:
        """Answers and the model are enough."""
        return False


def _looked(model: Any, outputs: int, x: Array, y: Array, answer: Array) -> dict[str, Array]:
    """Return what is measured of one sequence."""
    shown, maps = x[:-1, -outputs:], model.attention(x)
    labels = maps[-1][-1, 1::2]
    item = jnp.diagonal(maps[0], -1)[::2]
    return {
        "accuracy": (answer == y).astype(jnp.float32),
        "among_shown": shown[:, answer].max(),
        "to_item": item.mean(),
        "to_answer": labels @ shown[:, y],
        "to_labels": labels.sum(),
    }


class Rise(NamedTuple):
    """How a curve rises: when it has come half the way from its first to its last value, and how abruptly.

    `abruptness` is (t₉₀ − t₁₀)/t₅₀, with t_p the first time at which the curve has come p % of the way: small where it
    waits long and then jumps. Both are infinite for curves that do not rise.
    """

    half: Float[np.ndarray, "*curves"]
    abruptness: Float[np.ndarray, "*curves"]


def rise(times: ArrayLike, curves: ArrayLike, least: float = 0.05) -> Rise:
    """Return how each of the curves [..., times] rises; one that rises by less than `least` does not.

    Raises BadInput where curves and times differ in number.
    """
    times, curves = np.asarray(times, float), np.asarray(curves, float)
    if times.ndim != 1 or curves.shape[-1:] != times.shape:
        raise BadInput(f"curves need a value for each of {times.size} times, and their shape is {curves.shape}")
    first, last = curves[..., :1], curves[..., -1:]
    way = (curves - first) / np.where(last - first >= least, last - first, np.inf)
    t10, t50, t90 = (np.where((way >= p).any(-1), times[(way >= p).argmax(-1)], np.inf) for p in (0.1, 0.5, 0.9))
    with np.errstate(invalid="ignore"):
        return Rise(t50, np.where(np.isfinite(t50), (t90 - t10) / np.maximum(t50, 1e-9), np.inf))
