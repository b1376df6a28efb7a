"""Does this cause that? Questions about chains and small graphs of causes."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from lifelong.errors import BadInput, UnknownName
from lifelong.keys import key_for
from lifelong.recipe import Number

from ._batch import Batch, Lesson, Mixture
from ._lexicon import Lexicon
from ._problems import Problems, Verdicts, is_held_out

NAMES = 40
CAUSAL_WORDS = Lexicon(("BOS", ";", "?", "yes", "no", *(f"n{i}" for i in range(NAMES))))
Order = Literal["sequential", "reversed", "shuffled"]


class Causal(Problems):
    """Say whether x causes y, directly or through others: `BOS u v ; v w ; … ? x y` (u causes v …), answered `yes` or `no`.

    Task i has the fewest nodes plus i. Names are drawn anew for every problem, and half of all answers are `yes`: the answer is
    drawn first, then one of the pairs that have it. Held out are one in ten ordered pairs of names for the first two nodes.

    Args:
        nodes: the fewest and the most nodes.
        flip: the probability that a cause of a chain points the other way.
        distant: how often, where the answer is `yes`, two nodes are asked about that are connected through others alone,
            provided that there are such; otherwise all connected pairs are alike.
        scrambled: the share of demonstrations whose answer is that of another question, a coin's.
        branching: None for chains; else the number of causes per node of a random graph without cycles.
        order: in which order causes are stated.

    Raises BadInput for sizes that make no graph, UnknownName for an order that there is not.
    """

    flip: Number
    distant: Number
    scrambled: Number
    taught: Int[Array, "pairs 2"]
    held: Int[Array, "held 2"]
    fewest: int = eqx.field(static=True)
    most: int = eqx.field(static=True)
    branching: float | None = eqx.field(static=True)
    order: Order = eqx.field(static=True)
    tasks: int = eqx.field(static=True)
    prompt_length: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True, default=len(CAUSAL_WORDS))
    answer_length: int = eqx.field(static=True, default=1)
    lexicon: Lexicon = eqx.field(static=True, default=CAUSAL_WORDS)

    def __init__(
        self,
        nodes: tuple[int, int] = (3, 6),
        flip: Number = 0.5,
        distant: Number = 0.0,
        scrambled: Number = 0.0,
        branching: float | None = None,
        order: Order = "sequential",
    ):
        if order not in ("sequential", "reversed", "shuffled"):
            raise UnknownName("order of statements", str(order), ("sequential", "reversed", "shuffled"))
        if not 2 <= nodes[0] <= nodes[1] <= NAMES or (branching is not None and branching <= 0):
            raise BadInput(f"a graph has 2 … {NAMES} nodes, the fewest first, and some causes: {nodes=}, {branching=}")
        self.fewest, self.most = nodes
        self.flip, self.distant, self.scrambled = (jnp.asarray(x, jnp.float32) for x in (flip, distant, scrambled))
        self.branching, self.order = branching, order
        pairs = np.asarray([(i, j) for i in range(NAMES) for j in range(NAMES) if i != j], np.int32)
        held = is_held_out(pairs @ [NAMES, 1])
        self.taught, self.held = jnp.asarray(pairs[~held]), jnp.asarray(pairs[held])
        self.tasks = self.most - self.fewest + 1
        self.prompt_length = 3 * self._causes(self.most) + 4

    def _causes(self, nodes: int) -> int:
        """Return how many causes a graph of so many nodes has."""
        if self.branching is None:
            return nodes - 1
        return max(1, min(round(self.branching * nodes), nodes * (nodes - 1) // 2))

    def pose(
        self, task: Int[Array, "*n"], n: int, *, key: PRNGKeyArray, held_out: bool = False
    ) -> Int[Array, "n prompt"]:
        """Return `n` problems of a task, or one of each task given."""
        keys = jax.random.split(key, 4)
        nodes = self.fewest + jnp.broadcast_to(task, (n,))
        pairs = self.held if held_out else self.taught
        first = pairs[jax.random.randint(keys[0], (n,), 0, len(pairs))]
        chance = jax.random.uniform(keys[1], (n, NAMES))
        rows = jnp.arange(n)
        chance = chance.at[rows, first[:, 0]].set(-2.0).at[rows, first[:, 1]].set(-1.0)
        names = jnp.argsort(chance, 1)[:, : self.most]
        cause, effect, real = self._graph(nodes, keys[2])
        x, y = self._asked(cause, effect, real, nodes, keys[3])
        cause, effect, x, y = (jnp.take_along_axis(names, part, 1) for part in (cause, effect, x, y))
        return self._stated(cause, effect, real, jnp.concatenate([x, y], 1))

    def _graph(self, nodes: Int[Array, " n"], key: PRNGKeyArray) -> tuple[Array, Array, Array]:
        """Return causes, their effects, and which are real [n, causes], in the order in which they are stated."""
        n, size = len(nodes), self._causes(self.most)
        chance = jax.random.uniform(key, (2, n, self.most * (self.most - 1) // 2))
        if self.branching is None:
            start = jnp.broadcast_to(jnp.arange(size), (n, size))
            real, turned = start < nodes[:, None] - 1, chance[0, :, :size] < self.flip
            cause, effect = jnp.where(turned, start + 1, start), jnp.where(turned, start, start + 1)
        else:
            upper = np.stack(np.triu_indices(self.most, 1))
            score = jnp.where(upper[1] < nodes[:, None], chance[0], 2.0)
            chosen = jnp.sort(jnp.argsort(score, 1)[:, :size], 1)
            wanted = jnp.asarray([self._causes(m) for m in range(self.fewest, self.most + 1)])[nodes - self.fewest]
            cause, effect = jnp.asarray(upper[0])[chosen], jnp.asarray(upper[1])[chosen]
            score = jnp.take_along_axis(score, chosen, 1)
            real = jnp.argsort(jnp.argsort(score, 1), 1) < wanted[:, None]
        when = {
            "sequential": jnp.arange(size),
            "reversed": size - jnp.arange(size),
            "shuffled": chance[1, :, :size] + 1,
        }
        order = jnp.argsort(jnp.where(real, when[self.order], -1), 1, stable=True)
        return tuple(jnp.take_along_axis(part, order, 1) for part in (cause, effect, real))  # type: ignore[return-value]

    def _asked(self, cause: Array, effect: Array, real: Array, nodes: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
        """Return a pair of nodes of every problem [n, 1], as often one that is connected as one that is not."""
        n, m = len(nodes), self.most
        chance = jax.random.uniform(key, (n, m * m + 2))
        start = jnp.broadcast_to(jnp.eye(m, dtype=bool), (n, m, m))
        reached = jax.vmap(jax.vmap(self._spread, (0, None, None, None)))(start, cause, effect, real)
        there = (jnp.arange(m) < nodes[:, None])[:, :, None] & (jnp.arange(m) < nodes[:, None])[:, None, :]
        yes, pairs = (chance[:, -1] < 0.5)[:, None, None], there & ~jnp.eye(m, dtype=bool)
        ends = (jax.nn.one_hot(jnp.where(real, side, -1), m) for side in (cause, effect))
        indirect = pairs & reached & (jnp.einsum("neu,nev->nuv", *ends) == 0)
        only = yes & (chance[:, -2] < self.distant)[:, None, None] & indirect.any((1, 2), keepdims=True)
        fits = jnp.where(only, indirect, pairs & (reached == yes))
        pair = jnp.argmax(jnp.where(fits.reshape(n, -1), chance[:, :-2], -1.0), 1)[:, None]
        return pair // m, pair % m

    def _spread(self, start: Bool[Array, " nodes"], cause: Array, effect: Array, real: Array) -> Bool[Array, " nodes"]:
        """Return what some nodes cause, themselves included."""

        def further(_: Array, reached: Array) -> Array:
            return reached.at[jnp.where(real, effect, len(start))].max(reached[cause], mode="drop")

        return jax.lax.fori_loop(0, self.most - 1, further, start)

    def _stated(self, cause: Array, effect: Array, real: Array, asked: Array) -> Int[Array, "n prompt"]:
        n, size = cause.shape
        semicolon = jnp.full_like(cause, CAUSAL_WORDS[";"])
        causes = jnp.where(real[..., None], jnp.stack([_NAME + cause, _NAME + effect, semicolon], -1), -1)
        blanks = 3 * (size - real.sum(1, keepdims=True))
        begun = jnp.pad(causes.reshape(n, -1), ((0, 0), (1, 0)))
        place = jnp.arange(begun.shape[1])
        begun = jnp.where(place == blanks, CAUSAL_WORDS["BOS"], jnp.where(place < blanks, -1, begun))
        mark = jnp.full((n, 1), CAUSAL_WORDS["?"])
        return jnp.concatenate([begun, mark, _NAME + asked], 1).astype(jnp.int32)

    def causes(self, prompts: Int[Array, "n prompt"]) -> Bool[Array, " n"]:
        """Return whether the first node that is asked about causes the second."""
        cause, effect = (prompts[:, 1 + i : -3 : 3] - _NAME for i in range(2))
        real = (cause >= 0) & (effect >= 0)
        x, y = prompts[:, -2] - _NAME, prompts[:, -1] - _NAME
        start = jax.nn.one_hot(x, NAMES, dtype=bool)
        reached = jax.vmap(self._spread)(start, jnp.maximum(cause, 0), jnp.maximum(effect, 0), real)
        return jnp.take_along_axis(reached, y[:, None], 1)[:, 0]

    def demonstrate(self, prompts: Int[Array, "n prompt"], *, key: PRNGKeyArray) -> Int[Array, "n answer"]:
        """Return `yes` or `no`."""
        answer = jnp.where(self.causes(prompts), CAUSAL_WORDS["yes"], CAUSAL_WORDS["no"])
        return answer[:, None].astype(jnp.int32)

    def draw(self, lesson: Lesson | Mixture, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return transcripts of `n` demonstrations; where one is scrambled, a coin says its answer."""
        batch, coins = super().draw(lesson, n, key=key), jax.random.uniform(key_for(key, "scrambled"), (2, n))
        coin = jnp.where(coins[0] < 0.5, CAUSAL_WORDS["yes"], CAUSAL_WORDS["no"])
        answer = jnp.where(coins[1] < self.scrambled, coin, batch.y).astype(batch.y.dtype)
        return eqx.tree_at(lambda b: (b.x, b.y), batch, (batch.x.at[:, 0, -1].set(answer), answer))

    def judge(self, prompts: Int[Array, "n prompt"], answers: Int[Array, "n answer"]) -> Verdicts:
        """Return whether the answer is right."""
        right = answers[:, 0] == self.demonstrate(prompts, key=jax.random.key(0))[:, 0]
        return Verdicts(right.astype(jnp.float32), right)

    def mentioned_first(self, prompts: Int[Array, "n prompt"]) -> Bool[Array, " n"]:
        """Return the guess of who looks at the order of mention alone: whether x is first named before y."""
        x, y = (jnp.argmax(prompts[:, :-3] == prompts[:, -i : prompts.shape[1] + 1 - i], 1) for i in (2, 1))
        return x < y

    def adjacent(self, prompts: Int[Array, "n prompt"]) -> Bool[Array, " n"]:
        """Return the guess of who looks at single causes alone: whether `x y ;` is stated."""
        cause, effect = prompts[:, 1:-3:3], prompts[:, 2:-3:3]
        return ((cause == prompts[:, -2:-1]) & (effect == prompts[:, -1:])).any(1)


_NAME = CAUSAL_WORDS["n0"]
