"""A grid of things to gather and to make, each of which needs others first."""

from itertools import product
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._environment import Box, Discrete, Environment, checked_limit

CELLS = ("grass", "tree", "stone", "coal", "iron", "diamond", "water", "table", "furnace")
TOOLS = tuple(f"{material}_{tool}" for tool, material in product(("pickaxe", "sword"), ("wood", "stone", "iron")))
MATERIALS = ("wood", "stone", "coal", "iron", "diamond", "drink")
ITEMS = (*MATERIALS, *TOOLS)
FEATS = (
    *(f"collect_{item}" for item in MATERIALS),
    *("place_stone", "place_table", "place_furnace"),
    *(f"make_{item}" for item in TOOLS),
)
"""Crafter's achievements that gather, place or make something (Hafner 2022, "Benchmarking the Spectrum of Agent
Capabilities", figure 3)."""

DUMMY_BITS = 6


def _table(rows: dict[str, dict[str, int]]) -> Int[np.ndarray, "feats items"]:
    return np.array([[rows.get(feat, {}).get(item, 0) for item in ITEMS] for feat in FEATS])


def _tools(material: dict[str, int], name: str) -> dict[str, dict[str, int]]:
    return {f"make_{name}_{tool}": material for tool in ("pickaxe", "sword")}


_SPENT = _table(
    {"place_stone": {"stone": 1}, "place_table": {"wood": 1}, "place_furnace": {"stone": 1}}
    | _tools({"wood": 1}, "wood")
    | _tools({"wood": 1, "stone": 1}, "stone")
    | _tools({"wood": 1, "coal": 1, "iron": 1}, "iron")
)
_HELD = _table(
    {
        "collect_stone": {"wood_pickaxe": 1},
        "collect_coal": {"wood_pickaxe": 1},
        "collect_iron": {"stone_pickaxe": 1},
        "collect_diamond": {"iron_pickaxe": 1},
    }
)
_GAINED = _table({feat: {feat.split("_", 1)[1]: 1} for feat in FEATS if not feat.startswith("place")})
_AT_TABLE = np.array([feat.startswith("make") or feat == "place_furnace" for feat in FEATS])
_AT_FURNACE = np.array([feat.startswith("make_iron") for feat in FEATS])
_FACING = np.array([CELLS.index(cell) for cell in ("tree", "stone", "coal", "iron", "diamond", "water")] + [0] * 3)
_BECOMES = np.array([CELLS.index(cell) for cell in ("tree", *["grass"] * 4, "water", "stone", "table", "furnace")])
_SHARES = {"tree": 0.14, "stone": 0.16, "coal": 0.05, "iron": 0.04, "diamond": 0.02, "water": 0.06}
_TURNS = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])


class Feat(NamedTuple):
    """A task: what to do (a place in `FEATS`), how often, and a number that is not 0 where it can never be done."""

    what: Int[Array, "*n"]
    times: Int[Array, "*n"]
    dummy: Int[Array, "*n"]


class Village(eqx.Module):
    """The grid, where the agent stands and faces, what it carries, and how often it has done what it should."""

    cells: Int[Array, "side side"]
    place: Int[Array, "2"]
    facing: Int[Array, ""]
    carried: Int[Array, " items"]
    done: Int[Array, ""]


class TechTree(Environment):
    """Gather, place and make things in a small world after Crafter, where most things need others first.

    A stone needs a wooden pickaxe, that a table and wood, and so on to the diamond; what is needed and spent is as in Crafter.
    The actions are four moves (up, right, down, left; a move also turns the agent), collecting what it faces, placing a stone,
    a table or a furnace there, and making six tools within two cells of a table (and a furnace). Doing the task's feat as often
    as asked is worth 1 and ends the episode. A repeat of what is easy is as learnable as something new, and dummy tasks are
    never done, whatever they look like: so a teacher must know what is worth learning (Zhang et al. 2023, "OMNI").

    What is seen: the kind of each cell within `view`, the items carried (up to 9, in tenths), the direction faced, the feat
    asked for, how often it is still to be done (in tenths), and the bits of the dummy's number.

    Args:
        repeats: how often at most a collecting task asks for its feat, and how often one that places or makes.
        dummies: how many tasks can never be done.
        side: cells along a side of the grid.
        view: how far it is seen in every direction.
        limit: steps after which the time is up.

    Raises BadInput for sizes below 1, a grid too small for all materials, and more dummies than bits can tell apart.
    """

    levels: Feat
    limit: int = eqx.field(static=True)
    side: int = eqx.field(static=True)
    view: int = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    """What every level asks for, in words."""

    def __init__(
        self,
        repeats: tuple[int, int] = (5, 3),
        dummies: int = 63,
        side: int = 9,
        view: int = 2,
        limit: int = 100,
    ):
        if min(*repeats, view) < 1 or side < 7:
            raise BadInput(
                f"a world of feats needs repeats and a view of at least 1 and a side of 7: {repeats=}, {side=}"
            )
        if not 0 <= dummies < 2**DUMMY_BITS:
            raise BadInput(
                f"there are at most {2**DUMMY_BITS - 1} tasks that can never be done, and {dummies} are wanted"
            )
        most = [repeats[0] if feat.startswith("collect") else repeats[1] for feat in FEATS]
        rows = [(what, times, 0) for what, top in enumerate(most) for times in range(1, top + 1)]
        rows.sort(key=lambda row: row[1] > 1)
        rows += [(number % len(FEATS), 1, number) for number in range(1, dummies + 1)]
        self.levels = Feat(*(jnp.asarray(column, jnp.int32) for column in zip(*rows, strict=True)))
        self.names = tuple(_in_words(*row) for row in rows)
        self.limit, self.side, self.view = checked_limit(limit), side, view

    @property
    def actions(self) -> Discrete:
        """Four moves, collecting, three things to place, six to make."""
        return Discrete(4 + 1 + 3 + 6)

    @property
    def observations(self) -> Box:
        """What is around, carried, faced and asked for."""
        window = (2 * self.view + 1) ** 2
        return Box(0.0, 1.0, (window * (len(CELLS) + 1) + len(ITEMS) + 4 + len(FEATS) + 1 + DUMMY_BITS,))

    def start(self, task: Feat, *, key: PRNGKeyArray) -> Village:
        """Return a new grid with as many cells of every kind as always, in places drawn at random but not next to the agent."""
        area = self.side**2
        counts = [max(1, round(share * area)) for share in _SHARES.values()]
        kinds = np.repeat([CELLS.index(cell) for cell in _SHARES], counts)
        kinds = jnp.asarray(np.pad(kinds, (0, area - len(kinds))), jnp.int32)
        middle = self.side // 2
        near = np.abs(np.arange(self.side) - middle) <= 1
        chance = jnp.where((near[:, None] & near).reshape(-1), 2.0, jax.random.uniform(key, (area,)))
        cells = jnp.zeros(area, jnp.int32).at[jnp.argsort(chance)].set(kinds, unique_indices=True)
        place = jnp.full(2, middle, jnp.int32)
        none = jnp.zeros(len(ITEMS), jnp.int32)
        return Village(cells.reshape(self.side, self.side), place, jnp.int32(0), none, jnp.int32(0))

    def move(
        self, task: Feat, body: Village, action: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Village, Float[Array, ""], Bool[Array, ""]]:
        """Move and turn, or try a feat."""
        moving = action < 4
        facing = jnp.where(moving, action, body.facing).astype(jnp.int32)
        ahead = body.place + jnp.asarray(_TURNS)[facing]
        inside = ((ahead >= 0) & (ahead < self.side)).all()
        spot = jnp.clip(ahead, 0, self.side - 1)
        kind = jnp.where(inside, body.cells[spot[0], spot[1]], -1)
        feat, possible = self._feat(body, kind, action)
        possible = possible & ~moving
        change = jnp.asarray(_GAINED - _SPENT)[feat]
        carried = jnp.clip(body.carried + possible * change, 0, 9)
        becomes = jnp.where(feat < 9, jnp.asarray(np.pad(_BECOMES, (0, 6)))[feat], kind)
        cells = body.cells.at[spot[0], spot[1]].set(jnp.where(possible & inside, becomes, jnp.maximum(kind, 0)))
        cells = jnp.where(inside, cells, body.cells)
        place = jnp.where(moving & (kind == 0), spot, body.place).astype(jnp.int32)
        done = body.done + (possible & (feat == task.what) & (task.dummy == 0))
        finished = done >= task.times
        return Village(cells, place, facing, carried, done), finished.astype(jnp.float32), finished

    def _feat(self, body: Village, kind: Int[Array, ""], action: Int[Array, ""]) -> tuple[Array, Bool[Array, ""]]:
        """Return the feat that an action attempts in front of a kind of cell, and whether it succeeds."""
        ahead = jnp.argmax(jnp.asarray(_FACING[:6]) == kind)
        feat = jnp.where(action <= 4, ahead, action + 1)
        right_cell = jnp.where(feat < 9, kind == jnp.asarray(np.pad(_FACING, (0, 6)))[feat], True)
        needed = jnp.asarray(_SPENT + _HELD)[feat]
        table, furnace = (self._near(body, CELLS.index(cell)) for cell in ("table", "furnace"))
        there = (table | ~jnp.asarray(_AT_TABLE)[feat]) & (furnace | ~jnp.asarray(_AT_FURNACE)[feat])
        return feat, right_cell & (body.carried >= needed).all() & there

    def _near(self, body: Village, kind: int) -> Bool[Array, ""]:
        rows, columns = (jnp.abs(jnp.arange(self.side) - body.place[i]) <= 2 for i in range(2))
        return ((body.cells == kind) & rows[:, None] & columns[None, :]).any()

    def observe(self, task: Feat, body: Village) -> Float[Array, " numbers"]:
        """Return what is around, carried, faced and asked for."""
        rim = jnp.pad(body.cells, self.view, constant_values=len(CELLS))
        window = 2 * self.view + 1
        around = jax.lax.dynamic_slice(rim, (body.place[0], body.place[1]), (window, window))
        bits = (task.dummy >> jnp.arange(DUMMY_BITS)) & 1
        parts = [
            jax.nn.one_hot(around, len(CELLS) + 1).reshape(-1),
            body.carried / 10,
            jnp.arange(4) == body.facing,
            jnp.arange(len(FEATS)) == task.what,
            jnp.minimum(task.times - body.done, 10)[None] / 10,
            bits,
        ]
        return jnp.concatenate([part.astype(jnp.float32) for part in parts])


def _in_words(what: int, times: int, dummy: int) -> str:
    verb, item = FEATS[what].split("_", 1)
    words = f"{verb} {item.replace('_', ' ')}"
    return f"{words} {times} times" if times > 1 else f"{words} in a dream ({dummy})" if dummy else words
