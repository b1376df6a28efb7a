"""Find the operations that lead from one number to another: by trial, verdict and going back."""

from itertools import combinations, permutations
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from lifelong.errors import UnknownName

from ._lexicon import Lexicon
from ._operations import MODULUS, NUMBERS, OPERATIONS, TABLE
from ._problems import HELD_OUT, Listed, Verdicts, after, hashed, listed

LETTERS = "ABC"
PAIRS = len(LETTERS) ** 2
SEARCH_WORDS = Lexicon(
    (
        *("BOS", "EOS", "?", "ok", "no", "back", "ANS", *LETTERS, *NUMBERS, *(f"T:{n}" for n in NUMBERS)),
        *(f"{letter}:{operation}" for letter in LETTERS for operation in OPERATIONS),
    )
)
MENUS = list(combinations(range(len(OPERATIONS)), len(LETTERS)))
"""The 56 choices of three operations."""

SLOTS = np.asarray([order for menu in MENUS for order in permutations(menu)])
"""Which operations the letters stand for [336, 3]; six orders to each menu."""

Style = Literal["search", "shortcut", "trial"]


class OpSearch(Listed):
    """Choose two letters, the second possibly the same as the first, so that their operations lead from v0 to t modulo 11.

    A prompt is `BOS v0 A:oa B:ob C:oc T:t ?`, t always within reach. An answer is a trace: a letter and the value after it, a
    second letter and its value, `ok` or `no`; after `no` the next second letter, or `back` where all three have failed; at last
    `ANS l1 l2 EOS`. Only what follows `ANS` is judged, and any right pair counts: of blind guesses 17 % are right. The longest
    trace has 39 tokens. Ten of the 56 menus are held out, in all orders.

    Args:
        style: what `demonstrate` shows: 'search', depth first in an order of letters drawn at random; 'shortcut', one right
            pair alone; 'trial', one pair at random with its verdict, and the end (with `ANS` where it was right).
    """

    style: Style = eqx.field(static=True)
    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    prompt_length: int = eqx.field(static=True)
    answer_length: int = eqx.field(static=True)
    lexicon: Lexicon = eqx.field(static=True)

    def __init__(self, style: Style = "search"):
        if style not in Style.__args__:  # pyright: ignore[reportAttributeAccessIssue]
            raise UnknownName("style of demonstration", str(style), Style.__args__)  # pyright: ignore[reportAttributeAccessIssue]
        self.tasks, self.outputs, self.lexicon = 1, len(SEARCH_WORDS), SEARCH_WORDS
        self.prompt_length, self.answer_length = 7, 39
        self.style = style
        held = np.argsort(hashed(np.arange(len(MENUS))))[:HELD_OUT]
        slots, value, target = (part.ravel() for part in np.indices((len(SLOTS), MODULUS, MODULUS)))
        reach = (_ends(SLOTS[slots], value) == target[:, None]).any(1)
        codes = np.arange(len(reach))[reach]
        held_out = np.isin(slots // 6, held)[reach]
        self.codes, self.first, self.count = listed(codes, np.zeros(len(codes), int), held_out, 1)

    def read(self, code: Int[Array, " n"]) -> Int[Array, "n prompt"]:
        """Return the problems that codes stand for."""
        slots, value, target = code // MODULUS**2, code // MODULUS % MODULUS, code % MODULUS
        operations = jnp.asarray(SLOTS)[slots] + _OPERATION + len(OPERATIONS) * jnp.arange(len(LETTERS))
        begin, end = (jnp.full_like(code, SEARCH_WORDS[word]) for word in ("BOS", "?"))
        return jnp.stack([begin, _ZERO + value, *operations.T, _TARGET + target, end], 1).astype(jnp.int32)

    def reached(self, prompts: Int[Array, "n prompt"]) -> tuple[Int[Array, "n 3"], Int[Array, "n 9"]]:
        """Return the values after each letter, and after each pair of letters, those of the first letter first."""
        operations = prompts[:, 2:5] - _OPERATION - len(OPERATIONS) * jnp.arange(len(LETTERS))
        table = jnp.asarray(TABLE, jnp.int32)
        once = table[operations, prompts[:, 1:2] - _ZERO]
        return once, table[operations[:, None, :], once[:, :, None]].reshape(-1, PAIRS)

    def right_pairs(self, prompts: Int[Array, "n prompt"]) -> Array:
        """Return which of the nine pairs of letters are right [n, 9]."""
        return self.reached(prompts)[1] == prompts[:, 5:6] - _TARGET

    def judge(self, prompts: Int[Array, "n prompt"], answers: Int[Array, "n answer"]) -> Verdicts:
        """Return whether the letters after the first `ANS` are a right pair, and the answer ends there."""
        said = after(answers, SEARCH_WORDS["ANS"], 3)
        letters = said[:, :2] - _LETTER
        known = ((letters >= 0) & (letters < len(LETTERS))).all(1) & (said[:, 2] == SEARCH_WORDS["EOS"])
        pair = jnp.clip(letters[:, 0] * len(LETTERS) + letters[:, 1], 0, PAIRS - 1)
        right = known & jnp.take_along_axis(self.right_pairs(prompts), pair[:, None], 1)[:, 0]
        return Verdicts(right.astype(jnp.float32), right)

    def demonstrate(self, prompts: Int[Array, "n prompt"], *, key: PRNGKeyArray) -> Int[Array, "n answer"]:
        """Return a trace in the world's style."""
        for_order, for_pair = jax.random.split(key)
        chance = jax.random.uniform(for_order, (len(prompts), 2, len(LETTERS)))
        order = jnp.argsort(chance, -1)
        if self.style == "search":
            return jax.vmap(self._searched)(*self._facts(prompts), order)
        right = self.right_pairs(prompts)
        chosen = right if self.style == "shortcut" else jnp.ones_like(right)
        pair = jnp.argmax(jnp.where(chosen, jax.random.uniform(for_pair, right.shape), -1.0), -1)
        return jax.vmap(_tried)(*self._facts(prompts), pair)

    def _facts(self, prompts: Int[Array, "n prompt"]) -> tuple[Array, Array, Array]:
        return *self.reached(prompts), self.right_pairs(prompts)

    def _searched(self, once: Array, twice: Array, right: Array, order: Array) -> Int[Array, " answer"]:
        """Return the trace of a search of one problem: three blocks of letter, value, three tries, `back`; cut at the first
        right try.
        """
        outer, inner = order
        pair = outer[:, None] * len(LETTERS) + inner
        verdict = jnp.where(right[pair], SEARCH_WORDS["ok"], SEARCH_WORDS["no"])
        tries = jnp.stack([jnp.broadcast_to(_LETTER + inner, pair.shape), _ZERO + twice[pair], verdict], -1)
        head = jnp.stack([_LETTER + outer, _ZERO + once[outer]], 1)
        back = jnp.full((len(LETTERS), 1), SEARCH_WORDS["back"])
        trace = jnp.concatenate([head, tries.reshape(len(LETTERS), -1), back], 1).ravel()
        found = jnp.argmax(right[pair].ravel())
        end = 12 * (found // 3) + 2 + 3 * (found % 3 + 1)
        return _ended(jnp.pad(trace, (0, self.answer_length - len(trace))), end, pair.ravel()[found])


_ZERO, _TARGET, _LETTER, _OPERATION = (SEARCH_WORDS[word] for word in ("0", "T:0", "A", "A:add1"))


def _ended(trace: Int[Array, " answer"], end: Int[Array, ""], pair: Int[Array, ""]) -> Int[Array, " answer"]:
    """Return a trace that ends with the answer, and blanks after it."""
    answer = jnp.stack([SEARCH_WORDS["ANS"], _LETTER + pair // 3, _LETTER + pair % 3, SEARCH_WORDS["EOS"]])
    place = jnp.arange(len(trace)) - end
    shown = jnp.where(place < 4, answer[jnp.clip(place, 0, 3)], -1)
    return jnp.where(place < 0, trace, shown).astype(jnp.int32)


def _tried(once: Array, twice: Array, right: Array, pair: Int[Array, ""]) -> Int[Array, " answer"]:
    """Return the trace of one pair of one problem; one that is wrong ends with its verdict."""
    outer, inner, good = pair // 3, pair % 3, right[pair]
    verdict = jnp.where(good, SEARCH_WORDS["ok"], SEARCH_WORDS["no"])
    steps = jnp.stack([_LETTER + outer, _ZERO + once[outer], _LETTER + inner, _ZERO + twice[pair], verdict])
    trace = _ended(jnp.pad(steps, (0, 34), constant_values=-1), jnp.int32(5), pair)
    stopped = jnp.pad(steps, (0, 34), constant_values=-1).at[5].set(SEARCH_WORDS["EOS"])
    return jnp.where(good, trace, stopped).astype(jnp.int32)


def _ends(operations: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return where the nine pairs lead [n, 9]."""
    once = TABLE[operations, value[:, None]]
    return TABLE[operations[:, None, :], once[:, :, None]].reshape(len(value), PAIRS)
