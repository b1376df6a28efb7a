"""Boolean concepts to be learned from a few examples each, with splits by concept and by composition."""

from collections.abc import Iterator, Set

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, UInt32

from lifelong.errors import BadInput, UnknownName

from . import _grammar as grammar
from ._episodes import Episode
from ._few_shot import FewShot, episode
from ._grammar import Trees
from ._shuffle import shuffled

OPERATIONS = {"or": grammar.OR, "and": grammar.AND, "not": grammar.NOT}
KEPT, CANDIDATES, AT_ONCE, PROBES, PATIENCE = 64, 1024, 250, 512, 400
"""Examples kept of either label, inputs they are chosen from, concepts grown at once, inputs by which concepts are compared,
and how often concepts are grown before giving up."""


class BooleanConcepts(FewShot):
    """Concepts over binary features, from a grammar of OR, AND, NOT and literals; inputs are ±1, labels 0 and 1.

    An episode shows as many examples of a concept as counterexamples, and asks about as many of both that it has not shown:
    knowing nothing means one half. Concepts with too few of either are not drawn, as in Gupta 2025 ("Navigating High
    Dimensional Concept Space with Metalearning"), whose grammar and whose 10,000 concepts for training these are. Parts:

    - 'training': the concepts for training;
    - 'unseen': concepts with a truth table that no concept for training has (by 512 inputs where there are more);
    - '1 relevant', '2 relevant', '3 relevant', 'more relevant': fresh concepts, seen or not, by the number of features that
      they depend on; those that are empty are left out;
    - 'composed', where a composition is withheld: concepts that have it; no other part has any.

    Args:
        features, depth: binary features; the depth of the grammar's recursion.
        concepts: how many are for training.
        fresh: how many are in 'unseen' and in 'composed', and in all parts by relevance together.
        shots, queries: examples of either label in the support set and in the questions.
        withheld: (outer, inner), an operation never met directly below another one, such as ('or', 'and').
        seed: of the concepts, which are the same in every lifetime.

    Raises BadInput where sizes do not fit or the grammar yields too few such concepts, UnknownName for an operation that
    does not exist.
    """

    codes: UInt32[Array, "concepts labels kept"]
    held: Int[Array, "concepts labels"]
    first: Int[Array, " parts"]
    count: Int[Array, " parts"]
    features: int = eqx.field(static=True)
    shots: int = eqx.field(static=True)
    queries: int = eqx.field(static=True)
    parts: tuple[str, ...] = eqx.field(static=True)
    outputs: int = eqx.field(static=True, default=2)

    def __init__(
        self,
        features: int = 8,
        depth: int = 3,
        concepts: int = 10_000,
        fresh: int = 500,
        shots: int = 5,
        queries: int = 8,
        withheld: tuple[str, str] | None = None,
        seed: int = 0,
    ):
        _check(features, depth, min(concepts, fresh, shots, queries), shots + queries)
        self.features, self.shots, self.queries, self.outputs = features, shots, queries, 2
        parts = _Sampler(features, depth, shots + queries, withheld, seed).parts(concepts, fresh)
        self.parts = tuple(parts)
        counts = [len(held) for _, held in parts.values()]
        codes, held = (np.concatenate(some) for some in zip(*parts.values(), strict=True))
        self.codes, self.held = jnp.asarray(codes), jnp.asarray(held, jnp.int32)
        self.first = jnp.asarray(np.cumsum(counts) - counts, jnp.int32)
        self.count = jnp.asarray(counts, jnp.int32)

    def deal(self, part: Int[Array, ""], *, key: PRNGKeyArray) -> Episode:
        """Return one concept's episode."""
        which, order = jax.random.bits(key, (2,), jnp.uint32)
        concept = self.first[part] + (which % self.count[part].astype(jnp.uint32)).astype(jnp.int32)
        place, label = jnp.arange(self.shots + self.queries), jnp.arange(2)
        deal = jax.vmap(lambda y, size: shuffled(place, size, jnp.full_like(place, y), order))
        codes = self.codes[concept, label[:, None], deal(label, self.held[concept])]
        x = (codes[..., None] >> jnp.arange(self.features, dtype=jnp.uint32) & 1) * 2.0 - 1.0
        return episode(x, jnp.broadcast_to(label[:, None], codes.shape), self.shots, part)


class _Sampler:
    """Grows concepts, and finds examples of both labels for each."""

    def __init__(self, features: int, depth: int, needed: int, withheld: tuple[str, str] | None, seed: int):
        self.random = np.random.default_rng(seed)
        self.features, self.depth, self.needed = features, depth, needed
        for name in withheld or ():
            if name not in OPERATIONS:
                raise UnknownName("operation", name, OPERATIONS)
        self.withheld = None if withheld is None else tuple(OPERATIONS[name] for name in withheld)
        self.probes = grammar.bits(self._inputs(PROBES), features)

    def parts(self, concepts: int, fresh: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the examples of the concepts of every part: codes, and how many of either label."""
        training, tables = self.drawn(concepts)
        known = {table.tobytes() for table in tables}
        found = {"training": training, "unseen": self.drawn(fresh, unlike=known)[0]}
        some, _, depends = self.drawn_with_relevance(fresh)
        groups = {f"{n} relevant": depends == n for n in (1, 2, 3)} | {"more relevant": depends > 3}
        found |= {name: tuple(part[mine] for part in some) for name, mine in groups.items() if mine.any()}
        if self.withheld:
            found["composed"] = self.drawn(fresh, composed=True)[0]
        return found

    def drawn(self, count: int, unlike: Set[bytes] = frozenset(), composed: bool = False) -> tuple:
        """Return so many concepts' examples and truth tables."""
        return self.drawn_with_relevance(count, unlike, composed, False)[:2]

    def drawn_with_relevance(
        self,
        count: int,
        unlike: Set[bytes] = frozenset(),
        composed: bool = False,
        relevance: bool = True,
    ) -> tuple:
        """Return examples, truth tables, and on how many features each concept depends."""
        found, total = [], 0
        for trees, examples in self._grown(composed):
            tables = np.packbits(grammar.evaluate(trees, self.probes), axis=1)
            new = np.array([table.tobytes() not in unlike for table in tables], bool)
            depends = grammar.relevant(trees[new], self.probes) if relevance else np.zeros(new.sum(), int)
            found.append((*(part[new] for part in examples), tables[new], depends))
            total += new.sum()
            if total >= count:
                break
        if total < count:
            raise BadInput(
                f"the grammar over {self.features} features, {self.depth} deep, gave {total} concepts of the kind wanted, "
                f"and {count} were asked for; ask for fewer, or for fewer examples of each"
            )
        codes, held, tables, depends = (np.concatenate(part)[:count] for part in zip(*found, strict=True))
        return (codes, held), tables, depends

    def _grown(self, composed: bool) -> Iterator[tuple[Trees, tuple[np.ndarray, np.ndarray]]]:
        """Grow concepts with or without the composition withheld, as long as they have enough examples of both labels."""
        for _ in range(PATIENCE):
            trees = grammar.grow(self.random, AT_ONCE, self.features, self.depth)
            if self.withheld is not None:
                trees = trees[grammar.nests(trees, *self.withheld) == composed]
            codes = self._inputs(CANDIDATES)
            belongs = grammar.evaluate(trees, grammar.bits(codes, self.features))
            enough = np.minimum(belongs.sum(1), (~belongs).sum(1)) >= self.needed
            yield trees[enough], _examples_of(belongs[enough], codes)

    def _inputs(self, most: int) -> UInt32[np.ndarray, " n"]:
        """Return all inputs in random order, or as many as `most` where there are more."""
        size = 2**self.features
        if size <= 1 << 16:
            return self.random.permutation(size)[:most].astype(np.uint32)
        return np.unique(self.random.integers(size, size=most, dtype=np.uint64)).astype(np.uint32)


def _examples_of(belongs: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first codes of either label, [concepts, labels, KEPT], and how many there are."""
    kept, held = np.zeros((len(belongs), 2, KEPT), np.uint32), np.zeros((len(belongs), 2), int)
    for i, mine in enumerate(belongs):
        for label in (0, 1):
            some = codes[mine == bool(label)][:KEPT]
            kept[i, label, : len(some)], held[i, label] = some, len(some)
    return kept, held


def _check(features: int, depth: int, smallest: int, needed: int) -> None:
    if not 1 <= features <= 32 or depth < 0:
        raise BadInput(f"concepts have 1 to 32 features and a depth of at least 0, not {features} and {depth}")
    if smallest < 1:
        raise BadInput("concepts, shots and queries must be at least 1")
    if needed > min(KEPT, 2**features // 2):
        raise BadInput(
            f"{needed} examples of either label do not fit into {2**features} inputs, or into the {KEPT} kept of each: "
            "queries would overlap their support"
        )
