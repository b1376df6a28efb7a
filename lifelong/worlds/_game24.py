"""Three numbers and a target: a small game of 24, with all its solutions known."""

from fractions import Fraction
from functools import lru_cache
from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._lexicon import Lexicon
from ._problems import Listed, Verdicts, is_held_out, listed

PAIRS = ((0, 1), (0, 2), (1, 2))
SIGNS = ("a+b", "a*b", "a-b", "b-a", "a/b", "b/a")
MOST = 99
"""The largest target."""

GAME_WORDS = Lexicon(
    (
        *("BOS", "EOS", "=", *map(str, range(1, 10)), *(f"T:{n}" for n in range(1, MOST + 1))),
        *(f"{i + 1}{j + 1}:{sign}" for (i, j), sign in product(PAIRS, SIGNS)),
        *(f"then:{sign}" for sign in SIGNS),
    )
)


def _joined(a: Fraction | None, b: Fraction | None) -> list[Fraction | None]:
    """Return what the six signs make of two numbers, None where one divides by 0."""
    if a is None or b is None:
        return [None] * len(SIGNS)
    return [a + b, a * b, a - b, b - a, a / b if b else None, b / a if a else None]


@lru_cache(1)
def outcomes() -> Int[np.ndarray, "numbers expressions"]:
    """Return the values [729, 108] of all expressions of all three numbers 1 … 9; 0 for what is no whole number of 1 … 99.

    Expression 6·first + second joins two of the numbers by `first` (18 ways), and the result (a) with the third (b) by
    `second`.
    """
    table = np.zeros((9**3, len(PAIRS) * len(SIGNS) ** 2), int)
    for row, numbers in enumerate(product(map(Fraction, range(1, 10)), repeat=3)):
        made = [
            end
            for (i, j) in PAIRS
            for first in _joined(numbers[i], numbers[j])
            for end in _joined(first, numbers[3 - i - j])
        ]
        table[row] = [int(v) if v is not None and v.denominator == 1 and 1 <= v <= MOST else 0 for v in made]
    return table


class Game24(Listed):
    """Join three numbers 1 … 9 so that they make a target: `BOS a b c T:24 =`, answered by two words such as `12:a+b then:a*b`.

    The first joins two of the numbers (here the first and the second), the next what they made (a) with the third number (b);
    108 expressions in all. Any that makes the target exactly is right.

    Args:
        target: the target of all problems; None shows any number up to 99 that can be reached.

    Raises BadInput for a target that leaves no problems.
    """

    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    prompt_length: int = eqx.field(static=True)
    answer_length: int = eqx.field(static=True)
    lexicon: Lexicon = eqx.field(static=True, default=GAME_WORDS)

    def __init__(self, target: int | None = 24):
        if target is not None and not 1 <= target <= MOST:
            raise BadInput(f"the target lies between 1 and {MOST}, and it is {target}")
        wanted = range(1, MOST + 1) if target is None else (target,)
        reached = [np.nonzero((outcomes() == t).any(1))[0] * (MOST + 1) + t for t in wanted]
        codes = np.concatenate(reached)
        self.tasks, self.outputs, self.prompt_length, self.answer_length = 1, len(GAME_WORDS), 6, 2
        self.codes, self.first, self.count = listed(codes, np.zeros(len(codes), int), is_held_out(codes), 1)

    def read(self, code: Int[Array, " n"]) -> Int[Array, "n prompt"]:
        """Return the problems that codes stand for."""
        numbers, target = code // (MOST + 1), code % (MOST + 1)
        begin, end = (jnp.full_like(code, GAME_WORDS[word]) for word in ("BOS", "="))
        digits = [_ONE + numbers // 9**i % 9 for i in (2, 1, 0)]
        return jnp.stack([begin, *digits, _TARGET + target - 1, end], 1).astype(jnp.int32)

    def solutions(self, prompts: Int[Array, "n prompt"]) -> Bool[Array, "n expressions"]:
        """Return which of the 108 expressions are right."""
        digits = prompts[:, 1:4] - _ONE
        made = jnp.asarray(outcomes(), jnp.int32)[digits @ jnp.array([81, 9, 1])]
        return made == prompts[:, 4:5] - _TARGET + 1

    def judge(self, prompts: Int[Array, "n prompt"], answers: Int[Array, "n answer"]) -> Verdicts:
        """Return whether the expression makes the target."""
        first, second = answers[:, 0] - _FIRST, answers[:, 1] - _THEN
        known = (first >= 0) & (first < len(PAIRS) * len(SIGNS)) & (second >= 0) & (second < len(SIGNS))
        expression = jnp.where(known, first * len(SIGNS) + second, 0)
        right = known & jnp.take_along_axis(self.solutions(prompts), expression[:, None], 1)[:, 0]
        return Verdicts(right.astype(jnp.float32), right)

    def demonstrate(self, prompts: Int[Array, "n prompt"], *, key: PRNGKeyArray) -> Int[Array, "n answer"]:
        """Return one of the right expressions, each as likely as any other."""
        chosen = jax.random.categorical(key, jnp.where(self.solutions(prompts), 0.0, -jnp.inf))
        return jnp.stack([_FIRST + chosen // len(SIGNS), _THEN + chosen % len(SIGNS)], 1).astype(jnp.int32)


_ONE, _TARGET, _FIRST, _THEN = (GAME_WORDS[word] for word in ("1", "T:1", "12:a+b", "then:a+b"))
