"""Composite problems and their parts, asked side by side."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from lifelong.worlds import World

from ._exam import Exam


class Decomposition(Exam):
    """Ask composite problems, and each of their parts alone with its true input: what `four_way` sorts.

    For worlds with `composites`, such as `ComposedOperations`.
    """

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'whole': [composites], 'parts', 'present', 'withheld': [composites, parts]} of 0 and 1."""
        asked: Any = world.composites()  # type: ignore[attr-defined]
        shape = asked.part_answers.shape
        whole = learner.answer(state, asked.whole).argmax(-1) == asked.answer
        answers = learner.answer(state, asked.parts.reshape(-1, asked.parts.shape[-1])).argmax(-1)
        parts = (answers.reshape(shape) == asked.part_answers) & asked.present
        found = {"whole": whole, "parts": parts, "present": asked.present, "withheld": asked.withheld}
        return {name: values.astype(jnp.float32) for name, values in found.items()}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One row a composite, one column a part."""
        both = ("composite", "part")
        return {"whole": ("composite",), "parts": both, "present": both, "withheld": both}

    @property
    def whole(self) -> bool:
        """It looks at answers alone."""
        return False
