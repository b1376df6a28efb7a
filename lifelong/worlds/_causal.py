"""Does this cause that? Questions about chains and small graphs of causes."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from lifelong.errors import BadInput, UnknownName
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

    Demonstrations may ask several questions about one graph, `BOS u v ; … ? x y yes ? z w no …`, exactly half of which are
    answered `yes`, in any order. Exams ask one.

    Args:
        nodes: the fewest and the most nodes.
        flip: the probability that a cause of a chain points the other way.
        distant: how often, where the answer is `yes`, two nodes are asked about that are connected through others alone,
            provided that there are such; otherwise all connected pairs are alike.
        scrambled: the share of demonstrations whose answers are permuted among the questions about their graph. As half of
            them are `yes`, a permuted answer tells nothing of its question.
        branching: None for chains; else the number of causes per node of a random graph without cycles.
        order: in which order causes are stated.
        questions: how many a demonstration asks, an even number or one; only of several can answers be permuted.

    Raises BadInput for sizes that make no graph and numbers of questions that cannot be balanced, UnknownName for an order
    that there is not.
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
    questions: int = eqx.field(static=True)
    tasks: int = eqx.field(static=True)
    prompt_length: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True, default=len(CAUSAL_WORDS))
    answer_length: int = eqx.field(static=True, default=1)
    lexicon: Lexicon = eqx.field(static=True, default=CAUSAL_WORDS)
    mark: int = eqx.field(static=True, default=CAUSAL_WORDS["?"])
    """The word with which a question begins."""

    def __init__(
        self,
        nodes: tuple[int, int] = (3, 6),
        flip: Number = 0.5,
        distant: Number = 0.0,
        scrambled: Number = 0.0,
        branching: float | None = None,
        order: Order = "sequential",
        questions: int = 1,
    ):
        if order not in ("sequential", "reversed", "shuffled"):
            raise UnknownName("order of statements", str(order), ("sequential", "reversed", "shuffled"))
        if not 2 <= nodes[0] <= nodes[1] <= NAMES or (branching is not None and branching <= 0):
            raise BadInput(f"a graph has 2 … {NAMES} nodes, the fewest first, and some causes: {nodes=}, {branching=}")
        if questions < 1 or (questions > 1 and questions % 2):
            raise BadInput(f"half of the questions are answered 'yes': ask one, or an even number, not {questions}")
        if isinstance(scrambled, float) and scrambled > 0 and questions == 1:
            raise BadInput("only answers to several questions can be permuted: give scrambled=0, or questions=2")
        self.fewest, self.most = nodes
        self.flip, self.distant, self.scrambled = (jnp.asarray(x, jnp.float32) for x in (flip, distant, scrambled))
        self.branching, self.order, self.questions = branching, order, questions
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
        premise, asked, _ = self._posed(jnp.broadcast_to(task, (n,)), 1, key, self.held if held_out else self.taught)
        return jnp.concatenate([premise, asked[:, 0]], 1)

    def _posed(
        self, task: Int[Array, " n"], questions: int, key: PRNGKeyArray, pairs: Int[Array, "pairs 2"]
    ) -> tuple[Int[Array, "n premise"], Int[Array, "n questions 3"], Bool[Array, "n questions"]]:
        """Return premises whose first two names are a pair, questions about them, and whether their answers are `yes`."""
        keys, n = jax.random.split(key, 5), len(task)
        nodes = self.fewest + task
        first = pairs[jax.random.randint(keys[0], (n,), 0, len(pairs))]
        chance = jax.random.uniform(keys[1], (n, NAMES))
        rows = jnp.arange(n)
        chance = chance.at[rows, first[:, 0]].set(-2.0).at[rows, first[:, 1]].set(-1.0)
        names = _NAME + jnp.argsort(chance, 1)[:, : self.most]
        graph = self._graph(nodes, keys[2])
        yes = _half(keys[3], n, questions)
        x, y = self._asked(*graph, nodes, yes, keys[4])
        cause, effect, x, y = (jnp.take_along_axis(names, part, 1) for part in (*graph[:2], x, y))
        asked = jnp.stack([jnp.full_like(x, self.mark), x, y], -1)
        return self._stated(cause, effect, graph[2]), asked.astype(jnp.int32), yes

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

    def _asked(
        self, cause: Array, effect: Array, real: Array, nodes: Array, yes: Bool[Array, "n questions"], key: PRNGKeyArray
    ) -> tuple[Int[Array, "n questions"], Int[Array, "n questions"]]:
        """Return pairs of nodes that are connected where `yes` and are not elsewhere."""
        (n, questions), m = yes.shape, self.most
        chance = jax.random.uniform(key, (n, questions, m * m + 1))
        start = jnp.broadcast_to(jnp.eye(m, dtype=bool), (n, m, m))
        reached = jax.vmap(jax.vmap(self._spread, (0, None, None, None)))(start, cause, effect, real)
        there = (jnp.arange(m) < nodes[:, None])[:, :, None] & (jnp.arange(m) < nodes[:, None])[:, None, :]
        pairs = there & ~jnp.eye(m, dtype=bool)
        ends = (jax.nn.one_hot(jnp.where(real, side, -1), m) for side in (cause, effect))
        indirect = pairs & reached & (jnp.einsum("neu,nev->nuv", *ends) == 0)
        connected, apart, indirect = (p.reshape(n, 1, -1) for p in (pairs & reached, pairs & ~reached, indirect))
        only = (chance[..., -1:] < self.distant) & indirect.any(-1, keepdims=True)
        fits = jnp.where(yes[..., None], jnp.where(only, indirect, connected), apart)
        pair = jnp.argmax(jnp.where(fits, chance[..., :-1], -1.0), -1)
        return pair // m, pair % m

    def _spread(self, start: Bool[Array, " nodes"], cause: Array, effect: Array, real: Array) -> Bool[Array, " nodes"]:
        """Return what some nodes cause, themselves included."""

        def further(_: Array, reached: Array) -> Array:
            return reached.at[jnp.where(real, effect, len(start))].max(reached[cause], mode="drop")

        return jax.lax.fori_loop(0, self.most - 1, further, start)

    def _stated(self, cause: Array, effect: Array, real: Array) -> Int[Array, "n premise"]:
        n, size = cause.shape
        semicolon = jnp.full_like(cause, CAUSAL_WORDS[";"])
        causes = jnp.where(real[..., None], jnp.stack([cause, effect, semicolon], -1), -1)
        blanks = 3 * (size - real.sum(1, keepdims=True))
        begun = jnp.pad(causes.reshape(n, -1), ((0, 0), (1, 0)))
        place = jnp.arange(begun.shape[1])
        begun = jnp.where(place == blanks, CAUSAL_WORDS["BOS"], jnp.where(place < blanks, -1, begun))
        return begun.astype(jnp.int32)

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
        return _said(self.causes(prompts))[:, None]

    def draw(self, lesson: Lesson | Mixture, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return transcripts of `n` demonstrations: a premise, then every question with its answer."""
        keys = jax.random.split(key, 3)
        weights = lesson.weights if isinstance(lesson, Mixture) else jax.nn.one_hot(lesson.task, self.tasks)
        task = jax.random.categorical(keys[0], jnp.log(weights), shape=(n,))
        premise, asked, yes = self._posed(task, self.questions, keys[1], self.taught)
        answers = _said(self._permuted(yes, keys[2]))
        told = jnp.concatenate([asked, answers[..., None]], -1)
        own = jnp.zeros_like(told).at[..., -1].set(1)
        rows = [(premise, told), (jnp.zeros_like(premise), own)]
        x = jnp.stack([jnp.concatenate([before, after.reshape(n, -1)], 1) for before, after in rows], 1)
        return Batch(x, answers[:, 0], task.astype(jnp.int32), jnp.ones(n))

    def _permuted(self, yes: Bool[Array, "n questions"], key: PRNGKeyArray) -> Bool[Array, "n questions"]:
        """Return answers, those of scrambled rows in another order."""
        chance = jax.random.uniform(key, (len(yes), 1 + self.questions))
        other = jnp.take_along_axis(yes, jnp.argsort(chance[:, 1:], 1), 1)
        return jnp.where(chance[:, :1] < self.scrambled, other, yes)

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


def _half(key: PRNGKeyArray, n: int, questions: int) -> Bool[Array, "n questions"]:
    """Return rows half of which are true, in any order; of a single question a coin decides."""
    chance = jax.random.uniform(key, (n, questions + 1))
    return jnp.argsort(chance[:, 1:], 1) < (questions + (chance[:, :1] < 0.5)) // 2


def _said(yes: Bool[Array, "*n"]) -> Int[Array, "*n"]:
    """Return `yes` or `no`."""
    return jnp.where(yes, CAUSAL_WORDS["yes"], CAUSAL_WORDS["no"]).astype(jnp.int32)
