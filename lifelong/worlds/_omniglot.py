"""Omniglot, character by character."""

import io
from typing import Literal

import numpy as np
from jaxtyping import Float32

from lifelong.errors import BadInput

from ._registry import read

SIDE = 28
PARTS = ("background", "evaluation")


def omniglot(
    part: Literal["background", "evaluation"] = "background", side: int = SIDE
) -> Float32[np.ndarray, "characters drawings side side"]:
    """Return the drawings of one part: 964 background or 659 evaluation characters, 20 drawings of each, ink 1 on 0.

    The parts share no alphabet (Lake, Salakhutdinov and Tenenbaum 2015). Smaller images are means over squares of pixels.

    Raises BadFile where the file is missing or not the known one, BadInput for another part or a side that does not
    divide 28.
    """
    if part not in PARTS:
        raise BadInput(f"Omniglot has the parts 'background' and 'evaluation', not '{part}'")
    if side < 1 or SIDE % side:
        raise BadInput(f"Omniglot's images of {SIDE} pixels shrink to a side that divides {SIDE}, not to {side}")
    (content,) = read("omniglot").values()
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        packed = arrays[part]
    pixels = np.unpackbits(packed, axis=-1).reshape(*packed.shape[:2], side, SIDE // side, side, SIDE // side)
    return pixels.mean((3, 5), dtype=np.float32)
