"""The last attempts at the same concept, found beforehand: which rows of a piece a network should look back at."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ._rows import Rows

Key = Literal["next", "current", "any"]


class Recent(NamedTuple):
    """Of every row the places in its piece of the last rows of one concept, oldest first, −1 where there are fewer.

    `apart` counts the rows that leave a trace between each of them and the row.
    """

    place: Int[np.ndarray, "pieces length window"]
    apart: Float[np.ndarray, "pieces length window"]


def recent(rows: Rows, window: int, key: Key) -> Recent:
    """Return the last `window` rows before each that leave a trace and share a concept with it.

    The concept is that of the row itself where `key` is "next", and that of the last row before it that leaves a trace
    where it is "current"; with "any" the last rows count whatever they are about.
    """
    pieces, length = rows.row.shape
    traces = (rows.row >= 0) if rows.asks is None else (rows.row >= 0) & ~rows.asks
    before = np.cumsum(traces, axis=1) - traces
    skill = np.zeros((pieces, length, 1), np.int64) if key == "any" else np.asarray(rows.skill, np.int64)
    asked = _at_last(skill, traces) if key == "current" else skill
    found = _last(skill, asked, traces, window)
    apart = (
        before[..., None]
        - 1
        - np.take_along_axis(before, np.maximum(found, 0).reshape(pieces, -1), axis=1).reshape(found.shape)
    )
    return Recent(found.astype(np.int32), np.where(found >= 0, apart, 0).astype(np.float32))


def _at_last(skill: np.ndarray, traces: np.ndarray) -> np.ndarray:
    """Return the skills of the last row before each that leaves a trace, −1 where there is none."""
    place = np.maximum.accumulate(np.where(traces, np.arange(traces.shape[1]), -1), axis=1)
    last = np.concatenate([np.full((len(place), 1), -1), place[:, :-1]], axis=1)
    return np.where(last[..., None] >= 0, np.take_along_axis(skill, np.maximum(last, 0)[..., None], axis=1), -1)


def _last(skill: np.ndarray, asked: np.ndarray, traces: np.ndarray, window: int) -> np.ndarray:
    """Return the places of the last rows with a skill that is asked; threads are found in one sorted list of all."""
    pieces, length, width = skill.shape
    codes = int(max(skill.max(), asked.max(), 0)) + 1
    piece, place = np.arange(pieces)[:, None, None], np.arange(length)[None, :, None]
    numbers = (piece * codes + skill) * length + place
    sources = np.sort(numbers[(skill >= 0) & traces[..., None]])
    wanted = (piece * codes + asked) * length + place
    upto = np.searchsorted(sources, wanted)[..., None] - 1 - np.arange(window)
    inside = (upto >= 0) & (asked >= 0)[..., None] & (len(sources) > 0)
    found = sources[np.clip(upto, 0, None)] if len(sources) else np.zeros_like(upto)
    same = inside & (found // length == (wanted // length)[..., None])
    places = np.where(same, found % length, -1).reshape(pieces, length, -1)
    if width > 1:
        places = -np.sort(-places, axis=-1)
        repeated = np.concatenate([np.zeros_like(places[..., :1], bool), places[..., 1:] == places[..., :-1]], axis=-1)
        places = -np.sort(-np.where(repeated, -1, places), axis=-1)
    return places[..., :window][..., ::-1]
