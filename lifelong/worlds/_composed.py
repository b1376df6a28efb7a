"""Problems made of problems: operations in a row, each of which can be asked for alone."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._batch import Batch
from ._passes import Passes
from ._world import Pages

LONGEST = 3
"""Operations of the longest composite."""

LENGTHS = (1, 1, 2, 3)
"""Operations in the problems of every task."""


class Composites(NamedTuple):
    """Composite problems and their parts: a part is one operation, with the value that it truly meets.

    `present` marks the parts that there are, `withheld` those that are among the withheld pairs.
    """

    whole: Int[Array, "composites tokens"]
    answer: Int[Array, " composites"]
    parts: Int[Array, "composites parts tokens"]
    part_answers: Int[Array, "composites parts"]
    present: Bool[Array, "composites parts"]
    withheld: Bool[Array, "composites parts"]


class ComposedOperations(Passes):
    """Operations on the numbers 0 … m − 1, alone and composed: what knowledge is, and what it is to put it together.

    A third of the operations add a number, a third multiply by one, a third permute all numbers, drawn anew in every
    lifetime. A problem is the tokens (x, f₁, f₂, f₃), a blank where there is no operation, its answer f₃(f₂(f₁(x))). Tasks:
    0, single operations; 1, the `withheld` share of the pairs of operation and number, which are in no other list of single
    operations; 2 and 3, composites of two and of three. Of each length `questions` composites are never taught; they
    are the exam, and `composites` returns them with their parts.

    Args:
        modulus: m, a prime, so that multiplying loses nothing.
        operations: how many, a multiple of 3.
        withheld: the share of pairs of the second task.
        questions: composites of each length that are asked.

    Raises BadInput for sizes that do not fit.
    """

    tables: Int[Array, "operations modulus"]
    orders: tuple[Int[Array, " pairs"], Int[Array, " twos"], Int[Array, " threes"]]
    tasks: int = eqx.field(static=True, default=4)
    outputs: int = eqx.field(static=True, default=17)
    longest: int = eqx.field(static=True, default=0)
    held: int = eqx.field(static=True, default=0)
    questions: int = eqx.field(static=True, default=200)

    def __init__(self, modulus: int = 17, operations: int = 12, withheld: float = 0.4, questions: int = 200):
        if modulus < 3 or any(modulus % n == 0 for n in range(2, modulus)) or operations < 3 or operations % 3:
            raise BadInput(
                f"a prime modulus of at least 3 and operations in threes are needed: {modulus=}, {operations=}"
            )
        sizes = [modulus * operations**n for n in (1, 2, 3)]
        self.held = round(withheld * sizes[0])
        if not (0 < self.held < sizes[0] and 0 < questions < sizes[1]):
            raise BadInput(f"both some pairs and some composites must be left to teach: {withheld=}, {questions=}")
        self.tables = jnp.zeros((operations, modulus), jnp.int32)
        self.orders = tuple(jnp.arange(size, dtype=jnp.int32) for size in sizes)  # type: ignore[assignment]
        self.tasks, self.outputs, self.longest, self.questions = len(LENGTHS), modulus, sizes[2] - questions, questions
        self.seed = jnp.uint32(0)

    @property
    def symbols(self) -> int:
        """How many tokens there are: numbers, operations, and the blank, which is the last."""
        return self.outputs + len(self.tables) + 1

    def open(self, *, key: PRNGKeyArray) -> "ComposedOperations":
        """Draw this lifetime's operations, withheld pairs, and questions."""
        for_tables, for_orders, for_seed = jax.random.split(key, 3)
        m, third = self.outputs, len(self.tables) // 3
        chance = jax.random.uniform(for_tables, (3 * third, m))
        number = jnp.argsort(chance[: 2 * third, 1:], axis=1)[:, :1] + 1
        x = jnp.arange(m)
        tables = jnp.concatenate([(x + number[:third]) % m, (x * number[third:]) % m, jnp.argsort(chance[2 * third :])])
        keys = jax.random.split(for_orders, 3)
        orders = tuple(jax.random.permutation(k, order) for k, order in zip(keys, self.orders, strict=True))
        new = (tables.astype(jnp.int32), orders, jax.random.bits(for_seed, (), jnp.uint32))
        return eqx.tree_at(lambda world: (world.tables, world.orders, world.seed), self, new)

    def size(self, task: Int[Array, "*n"]) -> Int[Array, "*n"]:
        """Return how many problems a task teaches."""
        pairs, twos, threes = map(len, self.orders)
        return jnp.array([pairs - self.held, self.held, twos - self.questions, threes - self.questions])[task]

    def show(self, task: Int[Array, "*n"], place: Int[Array, " n"], weight: Float[Array, " n"]) -> Batch:
        """Return the problems that stand at some places of tasks."""
        task = jnp.broadcast_to(task, place.shape)
        rank = place + jnp.array([self.held, 0, self.questions, self.questions])[task]
        pairs, twos, threes = (order[jnp.minimum(rank, len(order) - 1)] for order in self.orders)
        code = jnp.select([task < 2, task == 2], [pairs, twos], threes)
        x, values = self._read(code, jnp.array(LENGTHS)[task])
        return Batch(x, values[:, -1], task, weight)

    def _read(self, code: Int[Array, " n"], length: Int[Array, " n"]) -> tuple[Int[Array, "n 4"], Int[Array, "n 4"]]:
        """Return the tokens of problems, and the values before the first and after every operation."""
        m, k = self.outputs, len(self.tables)
        operations = jnp.stack([code // m // k**i % k for i in range(LONGEST)], axis=1)
        used = jnp.arange(LONGEST) < length[:, None]
        values = [code % m]
        for i in range(LONGEST):
            values.append(jnp.where(used[:, i], self.tables[operations[:, i], values[-1]], values[-1]))
        tokens = jnp.where(used, m + operations, m + k)
        return jnp.column_stack([values[0], tokens]), jnp.stack(values, axis=1)

    def composites(self) -> Composites:
        """Return the composites that are never taught, those of two operations first, with their parts."""
        code = jnp.concatenate([order[: self.questions] for order in self.orders[1:]])
        length = jnp.repeat(jnp.array([2, 3]), self.questions)
        whole, values = self._read(code, length)
        blank = jnp.full((len(code), LONGEST, LONGEST - 1), self.symbols - 1)
        parts = jnp.concatenate([values[:, :-1, None], whole[:, 1:, None], blank], axis=2)
        pair = (whole[:, 1:] - self.outputs) * self.outputs + values[:, :-1]
        withheld = (pair[..., None] == self.orders[0][: self.held]).any(-1)
        present = jnp.arange(LONGEST) < length[:, None]
        return Composites(whole, values[:, -1], parts, values[:, 1:], present, withheld & present)

    def papers(self, n: int) -> Pages:
        """Return every pair of operation and number, and the composites that are never taught, in pages of `n`."""
        return Problems(world=self, size=n, count=-(-(len(self.orders[0]) + 2 * self.questions) // n))


class Problems(Pages):
    """The exam: single operations of both tasks, then composites."""

    world: ComposedOperations
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return problems i·size …; those past the end have weight 0."""
        world, place = self.world, i * self.size + jnp.arange(self.size)
        pairs, asked = len(world.orders[0]), world.questions
        single, two = place < pairs, place < pairs + asked
        task = jnp.array([1, 0, 2, 3])[(place >= world.held) + 0 + (~single) + (~single & ~two)]
        within = jnp.where(single, place, (place - pairs) % asked)
        one, second, third = (order[jnp.minimum(within, len(order) - 1)] for order in world.orders)
        code = jnp.select([single, two], [one, second], third)
        x, values = world._read(code, jnp.array(LENGTHS)[task])
        return Batch(x, values[:, -1], task, (place < pairs + 2 * asked).astype(jnp.float32))
