"""Students drawn from PSI-KT's own generative model, of whom traits, states and graph are known."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from ._psi_states import Traits

TAU, GAP = 0.1, 60.0
"""The median of τ, and the seconds that it stands for."""


class PsiStudents(NamedTuple):
    """A simulated log, the traits of its students, the graph [i, k] of prerequisites, and z at the skill of every row."""

    log: PracticeLog
    traits: Traits
    graph: Float[np.ndarray, "skills skills"]
    states: Float[np.ndarray, " rows"]


def psi_students(
    students: int = 200, skills: int = 8, attempts: int = 50, edges: float = 0.3, seed: int = 0
) -> PsiStudents:
    """Return students who practise random skills, with gaps that spread over two orders of magnitude.

    Traits stay what they are: ln α and μ are normal with spreads 1 and 1.5, ln σ with spread ½ around ½, γ is even in
    [0, 1]. The graph is acyclic: i prepares for k > i with probability `edges`. Raises BadInput for a number below 1.
    """
    if min(students, skills, attempts) < 1:
        raise BadInput(f"simulated students need one at least of each: {students=}, {skills=}, {attempts=}")
    random = np.random.default_rng(seed)
    alpha, level = np.exp(random.normal(0, 1, students)), random.normal(0, 1.5, students)
    traits = Traits(alpha, level, 0.5 * np.exp(random.normal(0, 0.5, students)), random.random(students))
    graph = np.triu(random.random((skills, skills)) < edges, 1).astype(float)
    gap = GAP * np.exp(random.normal(0, 1.2, (students, attempts)))
    skill = random.integers(0, skills, (students, attempts))
    z, states = random.normal(0, 1, (students, skills)), np.empty((students, attempts))
    for n in range(attempts):
        if n:
            z = _moved(z, traits, graph, gap[:, n] * TAU / GAP, random)
        states[:, n] = z[np.arange(students), skill[:, n]]
    outcome = random.random(states.shape) < expit(states)
    who = np.repeat([f"student {s}" for s in range(students)], attempts)
    named = [f"skill {k}" for k in skill.ravel()]
    log = PracticeLog.of(who, named, outcome.ravel(), time=np.cumsum(gap, axis=1).ravel(), name="psi-students")
    return PsiStudents(log, traits, graph, states.ravel())


def _moved(
    z: np.ndarray, traits: Traits, graph: np.ndarray, tau: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Draw the next states by equation 2."""
    alpha, level, sigma, gamma = (one[:, None] for one in traits)
    w = np.exp(-alpha * tau[:, None])
    target = level + gamma / len(graph) * (z @ graph)
    spread = sigma * np.sqrt(-np.expm1(-2 * alpha * tau[:, None]) / (2 * alpha))
    return w * z + (1 - w) * target + spread * random.standard_normal(z.shape)
