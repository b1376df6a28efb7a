"""Four blocks to stack: planning problems with several right answers, all of them known."""

from functools import lru_cache
from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._lexicon import Lexicon
from ._problems import Listed, Verdicts, hashed, listed

BLOCKS = "abcd"
TABLE_TOP = len(BLOCKS)
MOVES = len(BLOCKS) ** 2
LONGEST = 6
"""The longest plans that are counted: the farthest configurations are as far apart."""

_UNDER = (*BLOCKS, "table")
BLOCK_WORDS = Lexicon(
    (
        *("BOS", "EOS", *(f"s:{under}" for under in _UNDER), *(f"g:{under}" for under in _UNDER)),
        *(f"left:{n}" for n in range(1, LONGEST + 1)),
        *(f"{x}>{'table' if x == y else y}" for x in BLOCKS for y in BLOCKS),
    )
)


@lru_cache(1)
def configurations() -> Int[np.ndarray, "configurations 4"]:
    """Return all 73 ways to stack the blocks: what is under each (4 is the table)."""
    ways = product(range(TABLE_TOP + 1), repeat=len(BLOCKS))
    return np.asarray([way for way in ways if _stands(way)])


def _stands(under: tuple[int, ...]) -> bool:
    on_blocks = [below for below in under if below != TABLE_TOP]
    if len(set(on_blocks)) < len(on_blocks):
        return False
    for block in range(len(under)):
        seen = {block}
        while (block := under[block]) != TABLE_TOP:
            if block in seen:
                return False
            seen.add(block)
    return True


@lru_cache(1)
def transitions() -> Int[np.ndarray, "configurations moves"]:
    """Return where every move leads, −1 where it is not allowed.

    Move 4x + y puts block x onto block y, or onto the table where y is x. Both must be clear, and x not be there already.
    """
    places = configurations()
    number = {tuple(place): i for i, place in enumerate(places)}
    leads = np.full((len(places), MOVES), -1)
    for i, place in enumerate(places):
        clear = [block for block in range(len(BLOCKS)) if block not in place]
        for x, y in product(clear, range(len(BLOCKS))):
            to = TABLE_TOP if x == y else y
            if place[x] != to and (to == TABLE_TOP or to in clear):
                leads[i, 4 * x + y] = number[(*place[:x], to, *place[x + 1 :])]
    return leads


@lru_cache(1)
def plan_counts() -> Int[np.ndarray, "lengths configurations configurations"]:
    """Return how many plans of exactly h moves lead from one configuration to another, for h = 0 … 6."""
    leads = transitions()
    one = np.zeros((len(leads), len(leads)), int)
    here, move = np.nonzero(leads >= 0)
    np.add.at(one, (here, leads[here, move]), 1)
    return np.stack([np.linalg.matrix_power(one, h) for h in range(LONGEST + 1)])


def plans(start: int, goal: int | None, moves: int) -> Int[np.ndarray, "plans moves"]:
    """Return all allowed plans of so many moves from one configuration, to a goal or to anywhere."""
    found, places = np.zeros((1, 0), int), np.asarray([start])
    for _ in range(moves):
        which, move = np.nonzero(transitions()[places] >= 0)
        found = np.column_stack([found[which], move])
        places = transitions()[places[which], move]
    return found if goal is None else found[places == goal]


def worth(reached: Int[Array, " n"], goal: Int[Array, "*n"], right: Bool[Array, " n"]) -> Float[Array, " n"]:
    """Return what plans are rewarded with: 100 if right, else ten times the share of blocks that lie right in the end."""
    under = jnp.asarray(configurations())
    return jnp.where(right, 100.0, 10.0 * (under[reached] == under[goal]).mean(-1))


class Blocks(Listed):
    """Move blocks one by one until all lie as the goal says, in an exact number of moves.

    A prompt is `BOS s1 s2 s3 s4 g1 g2 g3 g4 left:4`: what is under each block now, and in the end. An answer is a plan of as
    many moves, such as `a>b` or `c>table`. Problems are all pairs of different configurations with at least `least` plans of
    exactly so many moves, detours among them; one goal in five is held out. Any plan is right that comes to the goal; it is
    rewarded with 100, any other with ten times the share of blocks that lie right where it ends. Moves that are not allowed
    change nothing, and no plan with one is right.

    Args:
        moves: how many, up to 6.
        least: plans that a problem must have.

    Raises BadInput for lengths that are not possible, and where no problems are left.
    """

    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    prompt_length: int = eqx.field(static=True)
    answer_length: int = eqx.field(static=True)
    lexicon: Lexicon = eqx.field(static=True, default=BLOCK_WORDS)

    def __init__(self, moves: int = 4, least: int = 4):
        if not 1 <= moves <= LONGEST:
            raise BadInput(f"a plan has 1 … {LONGEST} moves, not {moves}")
        counts = plan_counts()
        start, goal = np.nonzero((counts[moves] >= least) & ~np.eye(len(counts[0]), dtype=bool))
        held = hashed(goal) % 5 == 0
        self.tasks, self.outputs, self.prompt_length, self.answer_length = 1, len(BLOCK_WORDS), 10, moves
        self.codes, self.first, self.count = listed(start * len(counts[0]) + goal, np.zeros(len(start), int), held, 1)

    def read(self, code: Int[Array, " n"]) -> Int[Array, "n prompt"]:
        """Return the problems that codes stand for."""
        places = len(configurations())
        return self.prompt(code // places, code % places, jnp.full_like(code, self.answer_length))

    def prompt(
        self, state: Int[Array, "*n"], goal: Int[Array, "*n"], left: Int[Array, "*n"]
    ) -> Int[Array, "*n prompt"]:
        """Return prompts for configurations, with so many moves left."""
        under = jnp.asarray(configurations())
        begin = jnp.full_like(state, BLOCK_WORDS["BOS"])[..., None]
        parts = [begin, _STATE + under[state], _GOAL + under[goal], _LEFT + left[..., None] - 1]
        return jnp.concatenate(parts, -1).astype(jnp.int32)

    def state_and_goal(self, prompts: Int[Array, "n prompt"]) -> tuple[Int[Array, " n"], Int[Array, " n"]]:
        """Return the configurations that prompts are about."""
        under = jnp.asarray(configurations())
        parts = (prompts[:, 1:5] - _STATE, prompts[:, 5:9] - _GOAL)
        state, goal = ((part[:, None] == under).all(-1).argmax(1).astype(jnp.int32) for part in parts)
        return state, goal

    def allowed(self, state: Int[Array, "*n"]) -> Bool[Array, "*n words"]:
        """Return which words are moves that are allowed in configurations."""
        moves = jnp.asarray(transitions() >= 0)[state]
        return jnp.zeros((*state.shape, len(BLOCK_WORDS)), bool).at[..., _MOVE:].set(moves)

    def moved(self, state: Int[Array, "*n"], word: Int[Array, "*n"]) -> tuple[Int[Array, "*n"], Bool[Array, "*n"]]:
        """Return configurations after a move, the same where it is not allowed, and whether it was."""
        move = word - _MOVE
        to = jnp.asarray(transitions(), jnp.int32)[state, jnp.clip(move, 0, MOVES - 1)]
        legal = (move >= 0) & (to >= 0)
        return jnp.where(legal, to, state), legal

    def judge(self, prompts: Int[Array, "n prompt"], answers: Int[Array, "n answer"]) -> Verdicts:
        """Return whether plans are allowed and come to the goal, and what they are worth."""
        state, goal = self.state_and_goal(prompts)
        legal = jnp.ones_like(state, bool)
        for word in answers.T:
            state, may = self.moved(state, word)
            legal = legal & may
        right = legal & (state == goal)
        return Verdicts(worth(state, goal, right), right)

    def demonstrate(self, prompts: Int[Array, "n prompt"], *, key: PRNGKeyArray) -> Int[Array, "n answer"]:
        """Return one of the right plans, each as likely as any other."""
        state, goal = self.state_and_goal(prompts)
        leads, counts = jnp.asarray(transitions(), jnp.int32), jnp.asarray(plan_counts(), jnp.float32)
        words = []
        for i, each in enumerate(jax.random.split(key, self.answer_length)):
            to = leads[state]
            ways = jnp.where(to >= 0, counts[self.answer_length - 1 - i, to, goal[:, None]], 0.0)
            move = jax.random.categorical(each, jnp.log(ways))
            words.append(_MOVE + move)
            state = jnp.take_along_axis(to, move[:, None], 1)[:, 0]
        return jnp.stack(words, 1).astype(jnp.int32)


_STATE, _GOAL, _LEFT, _MOVE = (BLOCK_WORDS[word] for word in ("s:a", "g:a", "left:1", "a>table"))
