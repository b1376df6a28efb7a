"""The protocols behind published numbers of learning from episodes: learn2learn's script for MAML on Omniglot."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt

from lifelong.exams import Adaptation
from lifelong.keys import key_for
from lifelong.learners import MAML, BatchLearner
from lifelong.life import Life
from lifelong.nets import NormedConvNet, NormedMLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Batch, Episode, FewShotClasses

from ._anchors import Anchor

ITERATIONS = 60_000
"""Steps of the outer optimizer."""

DEALT = (20_000, 1024)
"""How many tuples of characters each part has, drawn once, for training and for the test."""

TESTED, LEFT_OUT = 423, 100
"""Characters to test on, and those for validation, which decides nothing; the other 1,100 of 1,623 are learned from."""

INNER_RATE = 0.5 / 5
"""The script's rate, on a mean loss that it divides by its 5 examples once more.

The loss on the questions is divided likewise: to Adam that is an ε five times as large.
"""

EXAMINED = 1000
"""Episodes of characters to test on in our exam; one print of the script has 32."""


@dataclass(frozen=True)
class EpisodeProtocol:
    """All that a life of episodes needs: world, learner, teacher, exam, and how many steps."""

    world: "DealtClasses"
    learner: MAML
    teacher: OneByOne
    exam: Adaptation
    steps: int


class DealtClasses(FewShotClasses):
    """Episodes as learn2learn dealt them when it published its numbers.

    Which classes are tested on is drawn anew in every life. Each part has so many tuples of classes, drawn once, and in
    every step some of them are met again, under the labels they had. Support set and questions are drawn apart from each
    other, so that a question may be about a drawing that was shown; every image is turned by itself, by 0 to 3 quarters.

    Args:
        source, ways, shots, queries, unseen: as in `FewShotClasses`; images are [side, side].
        left_out: classes that belong to no part.
        dealt: tuples of classes in each part.
    """

    order: Int[Array, " classes"]
    seed: UInt[Array, ""]
    dealt: Int[Array, " parts"]

    def __init__(
        self,
        source: Any,
        ways: int,
        shots: int,
        queries: int,
        unseen: int,
        left_out: int,
        dealt: tuple[int, int],
    ):
        super().__init__(source, ways, shots, queries, unseen)
        self.count = self.count - jnp.asarray([left_out, 0])
        self.order, self.seed, self.dealt = jnp.arange(len(self.x)), jnp.uint32(0), jnp.asarray(dealt)

    def open(self, *, key: PRNGKeyArray) -> "DealtClasses":
        """Draw this lifetime's order of classes, and the seed of its tuples."""
        for_order, for_seed = jax.random.split(key)
        new = (jax.random.permutation(for_order, len(self.x)), jax.random.bits(for_seed, (), jnp.uint32))
        return eqx.tree_at(lambda world: (world.order, world.seed), self, new)

    def pick(
        self, part: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Int[Array, " ways"], Int[Array, "ways examples"]]:
        """Return one of the part's tuples, and examples of each class: its shots, and queries drawn apart from them."""
        number = jax.random.randint(key_for(key, "number"), (), 0, self.dealt[part])
        fixed = jax.random.fold_in(jax.random.fold_in(jax.random.key(self.seed), part), number)
        pick = super().pick
        classes, _ = pick(part, key=fixed)
        shown, asked = (pick(part, key=key_for(key, use))[1] for use in ("shots", "queries"))
        rows = jnp.concatenate([shown[:, : self.shots], asked[:, self.shots :]], axis=1)
        return self.order[classes], rows

    def deal(self, part: Int[Array, ""], *, key: PRNGKeyArray) -> Episode:
        """Return an episode of turned images."""
        support, query = super().deal(part, key=key)
        for_support, for_query = jax.random.split(key_for(key, "turns"))
        return Episode(_turned(support, key=for_support), _turned(query, key=for_query))


def _turned(batch: Batch, *, key: PRNGKeyArray) -> Batch:
    every = jnp.stack([jnp.rot90(batch.x, k, axes=(1, 2)) for k in range(4)])
    quarters = jax.random.randint(key, (len(batch),), 0, 4)
    return eqx.tree_at(lambda b: b.x, batch, every[quarters, jnp.arange(len(batch))])


def episode_protocol(
    anchor: Anchor, drawings: Float[np.ndarray, "characters drawings side side"], part: float = 1.0
) -> EpisodeProtocol:
    """Return the protocol of a published number on Omniglot's drawings; `part` of its steps are taken, and of its exam."""
    world = DealtClasses(drawings, 5, 1, queries=1, unseen=TESTED, left_out=LEFT_OUT, dealt=DEALT)
    model = Recipe(_convolutions if anchor.method == "maml-cnn" else _perceptron, side=drawings.shape[-1], outputs=5)
    student = BatchLearner(model, Recipe(optax.sgd, learning_rate=INNER_RATE), batch=5)
    outer = Recipe(optax.adam, learning_rate=0.003, eps=5 * 1e-8)
    learner = MAML(student, optimizer=outer, episodes=32, at_once=1, inner_steps=1)
    steps = max(1, round(part * ITERATIONS))
    return EpisodeProtocol(world, learner, OneByOne(1, steps), Adaptation(max(5, round(part * EXAMINED))), steps)


def _perceptron(side: int, outputs: int, *, key: PRNGKeyArray) -> NormedMLP:
    """Return OmniglotFC: 256-128-64-64, weights normal with a deviation of 0.01 and cut off at two, the last bias 0."""
    model = NormedMLP(side**2, outputs, (256, 128, 64, 64), epsilon=1e-3, key=key)
    keys = jax.random.split(key_for(key, "weights"), len(model.layers))
    weights = [
        0.01 * jax.random.truncated_normal(k, -2.0, 2.0, layer.weight.shape)
        for k, layer in zip(keys, model.layers, strict=True)
    ]
    where = lambda net: [*(layer.weight for layer in net.layers), net.layers[-1].bias]  # noqa: E731
    return eqx.tree_at(where, model, [*weights, jnp.zeros(outputs)])


def _convolutions(side: int, outputs: int, *, key: PRNGKeyArray) -> NormedConvNet:
    """Return OmniglotCNN: four convolutions of 64 maps, and a head of standard normal weights, its bias 0."""
    model = NormedConvNet((side, side), outputs, epsilon=1e-3, key=key)
    head = jax.random.normal(key_for(key, "head"), model.head.weight.shape)
    return eqx.tree_at(lambda net: (net.head.weight, net.head.bias), model, (head, jnp.zeros(outputs)))


def solved(life: Life) -> np.ndarray:
    """Return each lane's percentage of right answers about characters to test on, after the step on their support set."""
    return 100.0 * life.exams["accuracy"][:, -1, 1, -1]
