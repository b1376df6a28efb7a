"""What a representation is worth: probes on it, and whether it has collapsed."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.feedback import unit_length
from lifelong.memory import nearest
from lifelong.recipe import Number, number

from ._exam import Exam
from ._plasticity import effective_rank
from ._probes import fit_probe, questions


def spread(features: Float[Array, "n width"]) -> Float[Array, ""]:
    """Return √d times the mean standard deviation of the numbers of unit vectors: 0 where all are the same, and 1 where
    they point everywhere alike (Chen and He 2021, "Exploring Simple Siamese Representation Learning", section 4.1).
    """
    return jnp.sqrt(features.shape[-1]) * unit_length(features).std(0).mean()


def neighbours_vote(
    known: Float[Array, "m width"],
    y: Int[Array, " m"],
    asked: Float[Array, "n width"],
    outputs: int,
    k: int = 5,
) -> Float[Array, "n outputs"]:
    """Return how many of the k known examples of largest cosine belong to each class."""
    return jax.nn.one_hot(y[nearest(asked, known, k)], outputs).sum(1)


class Representation(Exam):
    """Read classes from what a learner answers, by probes fitted on the training examples of task 0, and look for collapse.

        probe_accuracy      a ridge probe (`fit_probe`) on code words; the class whose word its answer is nearest to
        neighbour_accuracy  the majority of the k nearest training examples by cosine (1/k-nearest-neighbour probe)
        effective_rank      of centred test representations
        spread              `spread` of test representations

    Answers may be anything but must be of one width. The probes are the examiner's: what they read is no accuracy of the
    learner. Code words are one-hot unless given; cosine and sine of angles make classes of directions, right within half
    the angle between two.

    Args:
        codes: unit vectors, one a class.
        ridge: λ of `fit_probe`.
        neighbours: k.

    Raises BadInput for k < 1.
    """

    codes: Float[Array, "outputs width"] | None = None
    ridge: Number = number(1e-3)
    neighbours: int = eqx.field(static=True, default=5)

    def __check_init__(self):
        if self.neighbours < 1:
            raise BadInput(f"at least one neighbour votes, not {self.neighbours}")

    def sit(self, state: Any, learner: Any, world: Any, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return four single numbers."""
        shown, asked = world.review(jnp.int32(0), world.longest).page(0), questions(world)
        known, features = (learner.answer(state, batch.x) for batch in (shown, asked))
        codes = jnp.eye(world.outputs) if self.codes is None else self.codes
        said = fit_probe(known, codes[shown.y], shown.weight, ridge=self.ridge)(features) @ codes.T
        votes = neighbours_vote(known, shown.y, features, world.outputs, self.neighbours)
        centred = features - features.mean(0)
        sigma = jnp.linalg.svd(jnp.linalg.qr(centred, mode="r"), compute_uv=False)
        return {
            **{
                name: ((scores.argmax(-1) == asked.y) * asked.weight).sum() / asked.weight.sum()
                for name, scores in (("probe_accuracy", said), ("neighbour_accuracy", votes))
            },
            "effective_rank": effective_rank(sigma),
            "spread": spread(features),
        }

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Single numbers."""
        return dict.fromkeys(("probe_accuracy", "neighbour_accuracy", "effective_rank", "spread"), ())

    @property
    def whole(self) -> bool:
        """Answers are enough."""
        return False


class NuisanceProbe(Exam):
    """Read, from what a learner answers, a nuisance that it had better not represent: R² of a ridge probe on test examples.

    For worlds with rows `x` and `x_test` and what disturbs each of them, `nuisance` and `nuisance_test` [rows, numbers], as
    `NeuralPopulation`. R² = 1 − Σ(said − true)² / Σ(true − mean)², a mean over the numbers; 1 is read exactly, 0 not at all.

    Args:
        ridge: λ of `fit_probe`.
    """

    ridge: Number = number(1e-3)

    def sit(self, state: Any, learner: Any, world: Any, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'nuisance': []}."""
        known, features = (learner.answer(state, x) for x in (world.x, world.x_test))
        true = world.nuisance_test
        wrong = ((fit_probe(known, world.nuisance, ridge=self.ridge)(features) - true) ** 2).sum(0)
        return {"nuisance": 1 - (wrong / ((true - true.mean(0)) ** 2).sum(0)).mean()}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """A single number."""
        return {"nuisance": ()}

    @property
    def whole(self) -> bool:
        """Answers are enough."""
        return False
