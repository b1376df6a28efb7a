"""How far a perceptron is from its teachers, without asking a single question."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from lifelong.nets import signs
from lifelong.worlds import TeacherStudent

from ._exam import Exam


class GeneralizationError(Exam):
    """How often a binary perceptron and each teacher disagree on random inputs: ε = arccos(R)/π, R = Σ sign(θ_i) W_i / N.

    Exact for N → ∞. For learners whose model has one field for every weight of a teacher, as `BinaryPerceptron`.
    """

    def sit(self, state: Any, learner: Any, world: TeacherStudent, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'error': [tasks]}."""
        overlap = world.teachers @ signs(state.model.fields) / world.teachers.shape[1]
        return {"error": jnp.arccos(jnp.clip(overlap, -1.0, 1.0)) / jnp.pi}

    @property
    def whole(self) -> bool:
        """It looks at the model alone."""
        return False

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One error a task."""
        return {"error": ("task",)}
