"""Learners of latent factors, and of numbers read from them: everything they need to know is a sum over examples."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Shaped

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import Info
from lifelong.keys import key_for
from lifelong.nets import FactorModel, fit_factors
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Lesson, Mixture, Points, World

from ._learner import Learner, blank_batch


class Sums(eqx.Module):
    """Σ w, Σ w x, Σ w x xᵀ and Σ w x yᵀ over examples."""

    count: Float[Array, ""]
    x: Float[Array, " d"]
    xx: Float[Array, "d d"]
    xy: Float[Array, "d outputs"]

    @classmethod
    def of(cls, x: Float[Array, "n d"], y: Float[Array, "n outputs"], weight: Float[Array, " n"]) -> "Sums":
        """Return the sums over a batch."""
        weighted = weight[:, None] * x
        return cls(weight.sum(), weighted.sum(0), weighted.T @ x, weighted.T @ y)

    def __add__(self, other: "Sums") -> "Sums":
        return jax.tree.map(jnp.add, self, other)

    def factors(self, rank: int, noise: Number | None) -> FactorModel:
        """Return the factors of largest likelihood."""
        count = jnp.maximum(self.count, 1.0)
        mean = self.x / count
        return fit_factors(mean, self.xx / count - jnp.outer(mean, mean), rank, noise)


class FactorLearner(Learner):
    """Probabilistic principal components, learned as examples pass: the answer to x is E[z | x], and no label is read.

    Args:
        rank: r, how many factors.
        noise: the variance of noise, where it is known.
        batch: examples in a step.

    Raises BadInput for fewer than one factor or example, Mismatch for more factors than numbers in an example.
    """

    rank: int = eqx.field(static=True)
    noise: Number | None = None
    batch: int = eqx.field(static=True, default=256)

    def __check_init__(self):
        if min(self.rank, self.batch) < 1:
            raise BadInput(f"there must be at least one factor and one example: rank={self.rank}, batch={self.batch}")

    def init(self, world: World, *, key: PRNGKeyArray) -> Sums:
        """Return empty sums."""
        x = blank_batch(world, self.batch, key=key).x.reshape(self.batch, -1)
        if self.rank > x.shape[1]:
            raise Mismatch(f"{x.shape[1]} numbers have no {self.rank} factors; ask for {x.shape[1]} at most")
        return Sums.of(x, jnp.zeros((self.batch, 0)), jnp.zeros(self.batch))

    def meet(self, state: Sums, world: World, lesson: Lesson | Mixture, *, key: PRNGKeyArray) -> Batch:
        """Return a batch of what the teacher asked for."""
        return world.draw(lesson, self.batch, key=key)

    def learn(self, state: Sums, experience: Batch, *, key: PRNGKeyArray) -> tuple[Sums, Info]:
        """Add a batch to the sums."""
        x = experience.x.reshape(len(experience), -1)
        new = state + Sums.of(x, jnp.zeros((len(x), 0)), experience.weight)
        return new, {"met": new.count}

    def answer(
        self,
        state: Sums,
        x: Shaped[Array, "n *shape"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "n r"]:
        """Return posterior means of the factors."""
        return state.factors(self.rank, self.noise)(x.reshape(len(x), -1))


class PretrainedState(eqx.Module):
    """What was met without labels and with them, and a representation that needs no learning."""

    unlabelled: Sums
    labelled: Sums
    given: FactorModel


class PretrainedRegressor(Learner):
    """First factors from unlabelled examples by maximum likelihood, then a linear answer on them by least squares.

    In two-task worlds such as `LatentFactors`: what is met of task 0 counts for the representation E[z | x] = A x, of task
    1 for the head, h = (A Σ x xᵀ Aᵀ + ridge · n · I)⁻¹ A Σ x y; the answer is hᵀ A x (Ge et al. 2023, "On the Provable
    Advantage of Unsupervised Pretraining", algorithm 1 for their factor model). Nothing is centred: these worlds are.

    Args:
        rank: r, how many factors.
        representation: 'fitted' to what was met unlabelled; 'random', of factors drawn at birth; 'true', those of the world;
            or 'inputs', no factors but x itself, which is ridge regression without pretraining.
        ridge: relative to the number of labelled examples.
        noise: the variance of noise, where it is known; the theory knows it, and it is 1.
        batch: examples in a step.

    Raises BadInput for a representation that does not exist, Mismatch for worlds without numbers as answers or, where they
    are asked for, without true factors.
    """

    rank: int = eqx.field(static=True)
    representation: Literal["fitted", "random", "true", "inputs"] = eqx.field(static=True, default="fitted")
    ridge: Number = number(1e-6)
    noise: Number = number(1.0)
    batch: int = eqx.field(static=True, default=256)

    def __check_init__(self):
        if self.representation not in ("fitted", "random", "true", "inputs"):
            raise BadInput(
                f"the representation must be 'fitted', 'random', 'true' or 'inputs', not '{self.representation}'"
            )
        if min(self.rank, self.batch) < 1:
            raise BadInput(f"there must be at least one factor and one example: rank={self.rank}, batch={self.batch}")

    def init(self, world: Any, *, key: PRNGKeyArray) -> PretrainedState:
        """Return empty sums, and the representation that is given."""
        like = blank_batch(world, self.batch, key=key)
        if not isinstance(like, Points):
            raise Mismatch(
                f"numbers are learned here, and {type(world).__name__} has classes; take a world such as LatentFactors"
            )
        nothing, d = Sums.of(like.x, like.y, jnp.zeros(self.batch)), like.x.shape[1]
        if self.representation == "true":
            if not hasattr(world, "loadings"):
                raise Mismatch(f"{type(world).__name__} has no true factors; take LatentFactors")
            loadings = world.loadings
        else:
            loadings = jax.random.normal(key_for(key, "random"), (d, self.rank))
        return PretrainedState(nothing, nothing, FactorModel(loadings, jnp.zeros(d), self.noise))

    def meet(self, state: PretrainedState, world: World, lesson: Lesson | Mixture, *, key: PRNGKeyArray) -> Batch:
        """Return a batch of what the teacher asked for."""
        return world.draw(lesson, self.batch, key=key)

    def learn(self, state: PretrainedState, experience: Points, *, key: PRNGKeyArray) -> tuple[PretrainedState, Info]:
        """Add a batch to the sums of its task."""
        first, second = (
            sums + Sums.of(experience.x, experience.y * task, experience.weight * (experience.task == task))
            for task, sums in enumerate((state.unlabelled, state.labelled))
        )
        info = {"unlabelled": first.count, "labelled": second.count}
        return PretrainedState(first, second, state.given), info

    def reading(self, state: PretrainedState) -> Float[Array, "r d"]:
        """Return A."""
        if self.representation == "inputs":
            return jnp.eye(len(state.labelled.x))
        if self.representation == "fitted":
            return state.unlabelled.factors(self.rank, self.noise).reading
        return state.given.reading

    def answer(
        self,
        state: PretrainedState,
        x: Shaped[Array, "n d"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "n outputs"]:
        """Return the answers of the head that fits the labelled examples best."""
        reading, met = self.reading(state), state.labelled
        inner = reading @ met.xx @ reading.T
        size = jnp.maximum(met.count, 1.0)
        head = jnp.linalg.solve(inner + self.ridge * size * jnp.eye(len(inner)), reading @ met.xy)
        return x @ reading.T @ head
