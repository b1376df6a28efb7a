"""Chains of operations: problems whose every step can be checked."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._lexicon import Lexicon
from ._operations import MODULUS, NOTHING, NUMBERS, OPERATIONS, TABLE
from ._problems import Listed, Verdicts, is_held_out, listed

STEPS = 5
HOLES = ("mul3", "mul5", "sq")
HOLES_EACH = 6
COARSE = 4
"""The modulus of coarse answers."""

CHAIN_WORDS = Lexicon(
    (
        *("BOS", "EOS", "=", *NUMBERS, *OPERATIONS, "id", *(f"a:{n}" for n in range(COARSE))),
        *("|", ";", "think", "/think", "reflect", "OK", "BAD", "COR", "INC", "CRIT", "FIX"),
        *(f"hint:{operation}" for operation in OPERATIONS),
    )
)
"""The words of chains; those of the last two lines are for studies whose learners think, judge, correct, or are helped."""


class ChainSteps(NamedTuple):
    """Verdicts on steps. `local`: it follows from the number before it, as written; `true`: it is the right number.

    `first_error` is the first step that is wrong, the number of steps where none is.
    """

    local: Bool[Array, "n steps"]
    true: Bool[Array, "n steps"]
    first_error: Int[Array, " n"]


class OpChain(Listed):
    """Work out a chain of operations modulo 11, step by step.

    A prompt is `BOS v0 o1 o2 o3 o4 o5 =`, operations that are not there being `id`; its answer `v1 v2 v3 v4 v5 EOS`. As `sq`
    is not one-to-one, a wrong step can lead to the right end. Tasks are how many operations there are (2, 3, 4, 5), or, with
    holes, how many holes the true way crosses (0, 1, 2).

    Args:
        holes: six of the eleven facts of each of mul3, mul5 and sq are holes: whoever is taught task 0 alone never sees them.
        coarse: the answer ends in `a:k EOS` with k = v5 mod 4, and only k is rewarded: so are 18 % of wrong chains, if they end
            anywhere. What is `right` is v5 itself.
        lengths: how many operations there may be.
        seed: which facts are holes.

    Raises BadInput for lengths other than 1 … 5.
    """

    hole: Bool[Array, "operations numbers"]
    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    answer_length: int = eqx.field(static=True)
    prompt_length: int = eqx.field(static=True)
    coarse: bool = eqx.field(static=True)
    lexicon: Lexicon = eqx.field(static=True, default=CHAIN_WORDS)

    def __init__(
        self, holes: bool = False, coarse: bool = False, lengths: tuple[int, ...] = (2, 3, 4, 5), seed: int = 0
    ):
        if not lengths or not set(lengths) <= set(range(1, STEPS + 1)) or len(set(lengths)) < len(lengths):
            raise BadInput(f"a chain has 1 … {STEPS} operations, each length named once, not {lengths}")
        hole = np.zeros(TABLE.shape, bool)
        for row, operation in enumerate(HOLES if holes else ()):
            facts = np.random.default_rng([seed, row]).permutation(MODULUS)[:HOLES_EACH]
            hole[OPERATIONS.index(operation), facts] = True
        codes = np.concatenate([_codes(length) for length in lengths])
        kind = np.repeat(np.arange(len(lengths)), [len(_codes(length)) for length in lengths])
        if holes:
            kind = _crossed(codes, hole)
            codes, kind = codes[kind < 3], kind[kind < 3]
        self.tasks = 3 if holes else len(lengths)
        self.codes, self.first, self.count = listed(codes, kind, is_held_out(codes), self.tasks)
        self.hole, self.coarse, self.outputs = jnp.asarray(hole), coarse, len(CHAIN_WORDS)
        self.prompt_length, self.answer_length = STEPS + 3, STEPS + 1 + coarse

    def read(self, code: Int[Array, " n"]) -> Int[Array, "n prompt"]:
        """Return the problems that codes stand for."""
        value, operations = (
            code % MODULUS,
            [code // MODULUS // (NOTHING + 1) ** i % (NOTHING + 1) for i in range(STEPS)],
        )
        begin, end = (jnp.full_like(code, CHAIN_WORDS[word]) for word in ("BOS", "="))
        return jnp.stack([begin, _ZERO + value, *(_FIRST + operation for operation in operations), end], 1)

    def values(self, prompts: Int[Array, "n prompt"]) -> Int[Array, "n steps"]:
        """Return the true v1 … v5."""
        value, found = prompts[:, 1] - _ZERO, []
        for i in range(STEPS):
            value = jnp.asarray(TABLE)[prompts[:, 2 + i] - _FIRST, value]
            found.append(value)
        return jnp.stack(found, 1).astype(jnp.int32)

    def demonstrate(self, prompts: Int[Array, "n prompt"], *, key: PRNGKeyArray) -> Int[Array, "n answer"]:
        """Return the right chain."""
        return self.written(self.values(prompts))

    def written(self, values: Int[Array, "n steps"]) -> Int[Array, "n answer"]:
        """Return the answer that says these values, right or wrong."""
        end = jnp.full_like(values[:, :1], CHAIN_WORDS["EOS"])
        coarse = [_COARSE + values[:, -1:] % COARSE] if self.coarse else []
        return jnp.concatenate([_ZERO + values, *coarse, end], 1)

    def judge(self, prompts: Int[Array, "n prompt"], answers: Int[Array, "n answer"]) -> Verdicts:
        """Return whether v5 is right and the answer ends after it; the reward looks at k alone where answers are coarse."""
        truth, ended = self.values(prompts)[:, -1], answers[:, -1] == CHAIN_WORDS["EOS"]
        right = ended & (answers[:, STEPS - 1] == _ZERO + truth)
        told = ended & (answers[:, STEPS] == _COARSE + truth % COARSE) if self.coarse else right
        return Verdicts(told.astype(jnp.float32), right)

    def steps(self, prompts: Int[Array, "n prompt"], answers: Int[Array, "n answer"]) -> ChainSteps:
        """Return verdicts on the steps of answers, good or bad."""
        said = answers[:, :STEPS] - _ZERO
        is_number = (said >= 0) & (said < MODULUS)
        before = jnp.concatenate([prompts[:, 1:2] - _ZERO, said[:, :-1]], 1)
        possible = (before >= 0) & (before < MODULUS) & is_number
        follows = jnp.asarray(TABLE)[prompts[:, 2 : 2 + STEPS] - _FIRST, jnp.clip(before, 0, MODULUS - 1)]
        true = said == self.values(prompts)
        first = jnp.where(true.all(1), STEPS, jnp.argmin(true, 1))
        return ChainSteps(possible & (said == follows), true, first.astype(jnp.int32))

    def crossed(self, prompts: Int[Array, "n prompt"]) -> Int[Array, " n"]:
        """Return how many holes the true way crosses."""
        before = jnp.concatenate([prompts[:, 1:2] - _ZERO, self.values(prompts)[:, :-1]], 1)
        return self.hole[prompts[:, 2 : 2 + STEPS] - _FIRST, before].sum(1)


_ZERO, _FIRST, _COARSE = (CHAIN_WORDS[word] for word in ("0", "add1", "a:0"))


def _codes(length: int) -> np.ndarray:
    """Return the codes of all chains of some operations: v0 + 11·Σ o_i 9^i."""
    parts = np.meshgrid(*[np.arange(NOTHING)] * length, indexing="ij")
    operations = [part.ravel() for part in parts] + [np.full(NOTHING**length, NOTHING)] * (STEPS - length)
    chain = sum(operation * (NOTHING + 1) ** i for i, operation in enumerate(operations))
    return (np.arange(MODULUS)[:, None] + MODULUS * chain).ravel()


def _crossed(codes: np.ndarray, hole: np.ndarray) -> np.ndarray:
    value, crossed = codes % MODULUS, np.zeros(len(codes), int)
    for i in range(STEPS):
        operation = codes // MODULUS // (NOTHING + 1) ** i % (NOTHING + 1)
        crossed += hole[operation, value]
        value = TABLE[operation, value]
    return crossed
