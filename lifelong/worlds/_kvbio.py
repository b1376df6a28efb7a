"""Small biographies: facts to know by heart, facts to read, and questions that need both."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._lexicon import Lexicon
from ._problems import Problems, Verdicts, after, hashed, listed

ENTITIES, RELATIONS, SHOWN = 32, 6, 3
HELD_ENTITIES = 3
"""Of every relation or path so many first entities are held out."""

BIO_WORDS = Lexicon(
    (
        *("BOS", "EOS", "Q", "?", "[", "]", ";", "#", "S", "="),
        *(f"e{i}" for i in range(ENTITIES)),
        *(f"p{i + 1}" for i in range(RELATIONS)),
        *(f"c{i + 1}" for i in range(RELATIONS)),
        *(f"c{i + 1}:e{j}" for i in range(RELATIONS) for j in range(ENTITIES)),
    )
)
KINDS = ("fact", "memory", "context", "trained paths", "new paths", "new relations")
"""What the tasks are."""


class KvBio(Problems):
    """Questions about 32 entities: six relations p1 … p6 known by heart, six relations c1 … c6 shown in the prompt.

    Tasks, with their prompts: 0, facts: `BOS e p`, answered by `x EOS`. 1, memory: `BOS Q e p ?`. 2, context:
    `BOS [ e c1:x c4:y c5:z ] Q e c ?`, a profile of three of six relations drawn anew each time. 3 to 5, both:
    `… Q e1 p c ?`, with the profile of p(e1), or `… Q e1 c p ?`, with that of e1. Answers are thought out loud,
    `e1 p e2 ; e2 c x ; # x EOS`, or `e p x ; # x EOS`; what follows `#` is judged. Task 3 has half of the 32 paths from p1 … p4
    and c1 … c4, in either order, task 4 the other half, task 5 all paths with one of p5, p6, c5, c6.

    What is held out: of each contextual relation and each path three entities to begin with. Facts cannot be: exams of tasks 0
    and 1 ask all of them, known or not. The maps are drawn anew for every lifetime, none leads to where it starts.

    Args:
        known: the share of facts that tasks 0 and 1 teach.

    Raises BadInput for a share outside 0 … 1, or of no fact.
    """

    maps: Int[Array, "relations entities"]
    order: Int[Array, " facts"]
    codes: Int[Array, " problems"]
    first: Int[Array, "tasks 2"]
    count: Int[Array, "tasks 2"]
    taught: int = eqx.field(static=True)
    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    prompt_length: int = eqx.field(static=True)
    answer_length: int = eqx.field(static=True)
    lexicon: Lexicon = eqx.field(static=True)

    def __init__(self, known: float = 1.0):
        self.taught = round(known * RELATIONS * ENTITIES)
        if not 0 < self.taught <= RELATIONS * ENTITIES:
            raise BadInput(f"the share of known facts lies between 0 and 1, one fact at least, and it is {known}")
        self.tasks, self.outputs, self.lexicon = len(KINDS), len(BIO_WORDS), BIO_WORDS
        self.prompt_length, self.answer_length = 12, 11
        self.maps, self.order = _drawn(jax.random.key(0))
        self.codes, self.first, self.count = listed(*_problems(), tasks=len(KINDS))

    def open(self, *, key: PRNGKeyArray) -> "KvBio":
        """Draw this lifetime's facts, and which of them are known."""
        return eqx.tree_at(lambda world: (world.maps, world.order), self, _drawn(key))

    @property
    def known(self) -> Bool[Array, "relations entities"]:
        """Which facts tasks 0 and 1 teach."""
        return (jnp.argsort(self.order) < self.taught).reshape(RELATIONS, ENTITIES)

    def pose(
        self, task: Int[Array, "*n"], n: int, *, key: PRNGKeyArray, held_out: bool = False
    ) -> Int[Array, "n prompt"]:
        """Return `n` problems of a task, or one of each task given; drawn with replacement."""
        task, part = jnp.broadcast_to(task, (n,)), int(held_out)
        for_place, for_profile = jax.random.split(key)
        of_memory = (task < 2) & (not held_out)
        size = jnp.where(of_memory, self.taught, self.count[task, part])
        place = jax.random.randint(for_place, (n,), 0, size)
        code = self.codes[self.first[task, part] + jnp.where(of_memory, 0, place)]
        code = jnp.where(of_memory, self.order[jnp.minimum(place, self.taught - 1)], code)
        relation, entity = code // ENTITIES, code % ENTITIES
        reverse, p, c = _path(relation)
        composite = task > 2
        p, c = jnp.where(composite, p, relation), jnp.where(composite, c, relation)
        owner = jnp.where(composite & (reverse == 0), self.maps[jnp.minimum(p, RELATIONS - 1), entity], entity)
        profile = _profile(owner, c, for_profile)
        one, two = _P + p, _C + c
        asked = (jnp.where(reverse == 0, one, two), jnp.where(reverse == 0, two, one))
        return _prompts(task, _E + entity, (one, two), asked, profile)

    def demonstrate(self, prompts: Int[Array, "n prompt"], *, key: PRNGKeyArray) -> Int[Array, "n answer"]:
        """Return the right answer, thought out loud."""
        kind, entity, first, second = _read(prompts)
        middle = self._follow(prompts, entity, first)
        last = jnp.where(kind == 2, self._follow(prompts, middle, second), middle)
        semicolon, sharp, eos, none = (jnp.full_like(kind, n) for n in (*_marks(";", "#", "EOS"), -1))
        hop = [_E + entity, first, _E + middle, semicolon]
        end = [sharp, _E + last, eos]
        more = [_E + middle, second, _E + last, semicolon]
        rows = ([_E + last, eos, *[none] * 9], [*hop, *end, *[none] * 4], [*hop, *more, *end])
        return jnp.choose(kind[:, None], jnp.stack([jnp.stack(row, 1) for row in rows]), mode="clip").astype(jnp.int32)

    def _follow(self, prompts: Array, entity: Array, relation: Array) -> Int[Array, " n"]:
        """Return where a relation leads, by heart or by what the prompt says (entity 0 where it says nothing)."""
        tag = prompts - _TAG
        stated = (tag >= 0) & (tag // ENTITIES == (relation - _C)[:, None])
        read = jnp.where(stated, tag % ENTITIES, 0).max(1)
        heart = self.maps[jnp.clip(relation - _P, 0, RELATIONS - 1), jnp.clip(entity, 0, ENTITIES - 1)]
        return jnp.where(relation >= _C, read, heart).astype(jnp.int32)

    def judge(self, prompts: Int[Array, "n prompt"], answers: Int[Array, "n answer"]) -> Verdicts:
        """Return whether the answer names the right entity after `#` (facts: at once) and ends there."""
        truth = self.demonstrate(prompts, key=jax.random.key(0))
        is_fact = (_read(prompts)[0] == 0)[:, None]
        wanted, said = (jnp.where(is_fact, part[:, :2], after(part, BIO_WORDS["#"], 2)) for part in (truth, answers))
        right = (wanted == said).all(1)
        return Verdicts(right.astype(jnp.float32), right)

    def look_up(self, state: Int[Array, "3"], token: Int[Array, ""]) -> tuple[Int[Array, "3"], Int[Array, ""]]:
        """Answer `S e p` with `= x`: return the last three tokens, and the token that is written next, −1 for none.

        For a sampler that calls it with every token; it begins with three blanks.
        """
        a, b, c = state
        asks = (b == BIO_WORDS["S"]) & _is_entity(c) & _is_fact_relation(token)
        answers = (a == BIO_WORDS["S"]) & _is_entity(b) & _is_fact_relation(c) & (token == BIO_WORDS["="])
        x = _E + self.maps[jnp.clip(c - _P, 0, RELATIONS - 1), jnp.clip(b - _E, 0, ENTITIES - 1)]
        forced = jnp.where(asks, BIO_WORDS["="], jnp.where(answers, x, -1)).astype(jnp.int32)
        return jnp.stack([b, c, token]).astype(jnp.int32), forced


_E, _P, _C, _TAG = (BIO_WORDS[word] for word in ("e0", "p1", "c1", "c1:e0"))


def _is_entity(token: Array) -> Array:
    return (token >= _E) & (token < _P)


def _is_fact_relation(token: Array) -> Array:
    return (token >= _P) & (token < _C)


def _marks(*words: str) -> list[int]:
    return [BIO_WORDS[word] for word in words]


def _path(code: Any) -> tuple[Any, Any, Any]:
    """Return order (0: p first), p and c of a path 0 … 71."""
    return code // RELATIONS**2, code // RELATIONS % RELATIONS, code % RELATIONS


def _drawn(key: PRNGKeyArray) -> tuple[Array, Array]:
    """Return maps without fixed points, and an order of all facts, the known ones first."""
    for_maps, for_order = jax.random.split(key)
    step = jax.random.randint(for_maps, (RELATIONS, ENTITIES), 1, ENTITIES)
    order = jax.random.permutation(for_order, RELATIONS * ENTITIES)
    return ((jnp.arange(ENTITIES) + step) % ENTITIES).astype(jnp.int32), order.astype(jnp.int32)


def _problems() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the codes of all problems, of which task they are, and whether they are held out; facts are in both parts."""
    facts, paths = np.arange(RELATIONS * ENTITIES), np.arange(2 * RELATIONS**2)
    reverse, p, c = _path(paths)
    kind = np.where((p > 3) | (c > 3), 5, 3 + (reverse + p + c) % 2)
    rows = [np.repeat(facts, 2), np.repeat(facts, 2), facts, np.arange(len(paths) * ENTITIES)]
    tasks = [np.full(len(row), task) for task, row in enumerate(rows[:3])] + [np.repeat(kind, ENTITIES)]
    both = np.arange(2 * len(facts)) % 2 == 1
    return (
        np.concatenate(rows),
        np.concatenate(tasks),
        np.concatenate([both, both, _held(2, rows[2]), _held(3, rows[3])]),
    )


def _held(salt: int, codes: np.ndarray) -> np.ndarray:
    """Return which entities of every row of 32 are held out: those of the smallest hashes."""
    hashes = hashed(codes + 10_000 * salt).reshape(-1, ENTITIES)
    return (np.argsort(np.argsort(hashes, 1), 1) < HELD_ENTITIES).ravel()


def _profile(owner: Array, relation: Array, key: PRNGKeyArray) -> Int[Array, "n 6"]:
    """Return `[ e c:x c:x c:x ]` for three relations, the one asked among them, in any order; nobody is their own x."""
    n = len(owner)
    chance, places, step = jax.random.uniform(key, (3, n, RELATIONS))
    chosen = jnp.argsort(jnp.where(jnp.arange(RELATIONS) == relation[:, None], -1.0, chance), 1)[:, :SHOWN]
    chosen = jnp.take_along_axis(chosen, jnp.argsort(places[:, :SHOWN], 1), 1)
    x = (owner[:, None] + 1 + (step[:, :SHOWN] * (ENTITIES - 1)).astype(jnp.int32)) % ENTITIES
    opened, closed = (jnp.full((n, 1), mark) for mark in _marks("[", "]"))
    return jnp.concatenate([opened, _E + owner[:, None], _TAG + chosen * ENTITIES + x, closed], 1)


def _prompts(task: Array, entity: Array, alone: tuple, asked: tuple, profile: Array) -> Int[Array, "n prompt"]:
    """Return the prompts of all kinds, with blanks before them."""
    bos, question, mark, none = (jnp.full_like(entity, n) for n in (*_marks("BOS", "Q", "?"), -1))
    (p, c), shown = alone, list(profile.T)
    rows = (
        [*[none] * 9, bos, entity, p],
        [*[none] * 7, bos, question, entity, p, mark],
        [none, bos, *shown, question, entity, c, mark],
        [bos, *shown, question, entity, *asked, mark],
    )
    kinds = jnp.stack([jnp.stack(row, 1) for row in rows])
    return kinds[jnp.minimum(task, 3), jnp.arange(len(task))].astype(jnp.int32)


def _read(prompts: Array) -> tuple[Array, Array, Array, Array]:
    """Return the kind (0 fact, 1 one hop, 2 two hops), the entity in question (0 …), and the first and second relation."""
    fact = prompts[:, -1] != BIO_WORDS["?"]
    kind = jnp.where(fact, 0, jnp.where(_is_entity(prompts[:, -3]), 1, 2))
    entity = jnp.choose(kind, jnp.stack([prompts[:, -2], prompts[:, -3], prompts[:, -4]]), mode="clip") - _E
    first = jnp.choose(kind, jnp.stack([prompts[:, -1], prompts[:, -2], prompts[:, -3]]), mode="clip")
    return kind, entity, first, prompts[:, -2]
