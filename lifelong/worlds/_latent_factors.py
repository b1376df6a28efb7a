"""Few hidden causes behind many numbers: a world with unlabelled examples to learn from, and a few labelled ones."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt

from lifelong.errors import BadInput
from lifelong.keys import key_for
from lifelong.recipe import Number

from ._batch import Lesson, Mixture
from ._few_shot import Points
from ._world import Pages, World

UNLABELLED, LABELLED, ASKED = 0, 1, 2


class LatentFactors(World):
    """x = B z + μ with z ~ N(0, I_r) and μ ~ N(0, I_d), and y = ι βᵀz + (1 − ι) γᵀμ + ε ν, ν ~ N(0, 1).

    Task 0 are examples without labels (y is 0), task 1 examples with them. β and γ are random unit vectors, γ ⊥ B; entries
    of B are N(0, 1) · strength/√d. With ι = 1 all that x tells of y goes through z (Ge et al. 2023, "On the Provable
    Advantage of Unsupervised Pretraining", the factor model); with ι = 0 the factors tell nothing of y. The best answer is
    E[y | x] = ι βᵀ(BᵀB + I)⁻¹Bᵀ x + (1 − ι) γᵀx. Tasks end: examples past their number have weight 0.

    Args:
        features, factors: d and r.
        unlabelled, labelled: m and n, to be swept like any number.
        strength: the length of a column of B, about.
        informative: ι.
        noise: ε.
        questions: x that exams ask about.

    Raises BadInput for sizes below 1, more factors than numbers, or ι outside 0 … 1.
    """

    loadings: Float[Array, "features factors"]
    beta: Float[Array, " factors"]
    gamma: Float[Array, " features"]
    unlabelled: Number
    labelled: Number
    strength: Number
    informative: Number
    noise: Number
    seed: UInt[Array, ""]
    questions: int = eqx.field(static=True)
    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)

    def __init__(
        self,
        features: int = 64,
        factors: int = 4,
        unlabelled: Number = 2000.0,
        labelled: Number = 32.0,
        strength: Number = 4.0,
        informative: Number = 1.0,
        noise: Number = 0.5,
        questions: int = 1000,
    ):
        if not 1 <= factors < features or questions < 1:
            raise BadInput(
                f"there are fewer factors than numbers, and questions: {factors=}, {features=}, {questions=}"
            )
        if not isinstance(informative, Tracer) and not 0 <= informative <= 1:
            raise BadInput(f"`informative` is a share, 0 … 1, and it is {informative}")
        numbers = (unlabelled, labelled, strength, informative, noise)
        self.unlabelled, self.labelled, self.strength, self.informative, self.noise = (
            jnp.asarray(value, jnp.float32) for value in numbers
        )
        self.loadings, self.beta, self.gamma = jnp.zeros((features, factors)), jnp.zeros(factors), jnp.zeros(features)
        self.seed, self.questions, self.tasks, self.outputs = jnp.uint32(0), questions, 2, 1

    def open(self, *, key: PRNGKeyArray) -> "LatentFactors":
        """Draw this lifetime's loadings, what y depends on, and its examples."""
        features, factors = self.loadings.shape
        loadings = jax.random.normal(key_for(key, "loadings"), (features, factors)) * self.strength / features**0.5
        beta = jax.random.normal(key_for(key, "beta"), (factors,))
        gamma = jax.random.normal(key_for(key, "gamma"), (features,))
        basis = jnp.linalg.qr(loadings)[0]
        gamma = gamma - basis @ (basis.T @ gamma)
        new = (
            loadings,
            beta / jnp.linalg.norm(beta),
            gamma / jnp.linalg.norm(gamma),
            jax.random.bits(key, (), jnp.uint32),
        )
        return eqx.tree_at(lambda w: (w.loadings, w.beta, w.gamma, w.seed), self, new)

    def best(self, x: Float[Array, "n features"]) -> Float[Array, "n 1"]:
        """Return E[y | x]."""
        inner = self.loadings.T @ self.loadings + jnp.eye(len(self.beta))
        through_factors = self.loadings @ jnp.linalg.solve(inner, self.beta)
        return (x @ (self.informative * through_factors + (1 - self.informative) * self.gamma))[:, None]

    def rows(self, task: Int[Array, " n"], place: Int[Array, " n"]) -> Points:
        """Return the examples that stand at `place` in the lists of tasks; always the same ones in one lifetime."""
        (features, factors), root = self.loadings.shape, jax.random.key(self.seed)

        def chances(task: Int[Array, ""], place: Int[Array, ""]) -> Float[Array, " numbers"]:
            return jax.random.normal(
                jax.random.fold_in(jax.random.fold_in(root, task), place), (features + factors + 1,)
            )

        drawn = jax.vmap(chances)(task, place)
        mu, z, nu = drawn[:, :features], drawn[:, features:-1], drawn[:, -1]
        y = self.informative * z @ self.beta + (1 - self.informative) * mu @ self.gamma + self.noise * nu
        there = jnp.stack([self.unlabelled, self.labelled, jnp.float32(self.questions)])[task]
        y = jnp.where(task == UNLABELLED, 0.0, y)
        return Points(z @ self.loadings.T + mu, y[:, None], task, (place < there).astype(jnp.float32))

    def draw(self, lesson: Lesson | Mixture, n: int, *, key: PRNGKeyArray) -> Points:
        """Return the next `n` examples of a task, or a mixture of tasks."""
        if isinstance(lesson, Mixture):
            for_task, for_place = jax.random.split(key)
            task = jax.random.categorical(for_task, jnp.log(lesson.weights), shape=(n,)).astype(jnp.int32)
            most = jnp.stack([self.unlabelled, self.labelled])[task]
            return self.rows(task, jnp.floor(jax.random.uniform(for_place, (n,)) * most).astype(jnp.int32))
        return self.rows(jnp.broadcast_to(lesson.task, (n,)), lesson.turn * n + jnp.arange(n))

    def papers(self, n: int) -> Pages:
        """Return labelled examples that no lesson brings, in pages of `n`."""
        return _Questions(world=self, size=n, count=-(-self.questions // n))


class _Questions(Pages):
    """Questions, page by page."""

    world: LatentFactors
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Points:
        """Return the `i`-th page."""
        place = jnp.asarray(i, jnp.int32) * self.size + jnp.arange(self.size)
        return self.world.rows(jnp.full_like(place, ASKED), place)
