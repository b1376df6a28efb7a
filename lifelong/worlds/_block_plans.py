"""Plans with blocks, move by move: how a prompt changes, what is allowed, and every plan there is."""

from functools import cache, lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from ._blocks import BLOCK_WORDS, LONGEST, Blocks, configurations, plans, transitions

_STATE, _LEFT, _MOVE = (BLOCK_WORDS[word] for word in ("s:a", "left:1", "a>table"))


@cache
def _rules() -> Blocks:
    """Return a world that knows the rules; made when first needed, for arrays would start JAX while it is imported."""
    with jax.ensure_compile_time_eval():
        return Blocks()


def after_move(prompts: Int[Array, "n prompt"], word: Int[Array, " n"]) -> Int[Array, "n prompt"]:
    """Return the prompts after a move: the state it leads to, the goal as it was, one move less to go (never below 1)."""
    state, _ = _rules().state_and_goal(prompts)
    under = jnp.asarray(configurations(), prompts.dtype)[_rules().moved(state, word)[0]]
    left = jnp.maximum(prompts[:, -1:] - 1, _LEFT)
    return jnp.concatenate([prompts[:, :1], _STATE + under, prompts[:, 5:9], left], 1)


def allowed_moves(prompts: Int[Array, "n prompt"]) -> Bool[Array, "n words"]:
    """Return which words are moves that are allowed where prompts stand."""
    return _rules().allowed(_rules().state_and_goal(prompts)[0])


@lru_cache(LONGEST)
def every_plan(moves: int) -> tuple[Int[np.ndarray, "starts most moves"], Int[np.ndarray, "starts most states"]]:
    """Return all allowed plans from every configuration, and the configurations on their way, the first and last included.

    Configurations with fewer plans than others have rows of −1.
    """
    found = [plans(start, None, moves) for start in range(len(configurations()))]
    most = max(map(len, found))
    words, places = (np.full((len(found), most, k), -1) for k in (moves, moves + 1))
    for start, rows in enumerate(found):
        here = np.full(len(rows), start)
        words[start, : len(rows)], places[start, : len(rows), 0] = rows, here
        for step in range(moves):
            here = transitions()[here, rows[:, step]]
            places[start, : len(rows), step + 1] = here
    return words, places


def word_of(move: Int[Array, "*n"]) -> Int[Array, "*n"]:
    """Return the word of a move 0 … 15."""
    return move + _MOVE
