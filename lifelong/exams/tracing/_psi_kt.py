"""PSI-KT (Zhou et al. 2024): personal traits and a graph of prerequisites, inferred from practice."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from ._deep import Deep
from ._psi_network import Generative, Inference, Kind, Psi, read_out
from ._psi_states import Traits
from ._rows import Rows, windows
from ._tokens import turned

TAU = 0.1
"""The median of τ that the unit of time is chosen for."""


@dataclass
class PSIKT(Deep):
    """A hierarchical state-space model: traits of students move, states follow them and a graph, answers show states.

    Zhou, Bamler, Wu and Tejero-Cantero 2024; the equations are in the module of the network. `width` is that of skill
    embeddings, `categories` the kinds of students that the inference tells apart. `traits` is "changing" as in the paper,
    "constant" (H = 1, R → 0) or "shared" (all students alike); `graph` and `timed` turn the graph and the gaps off.

    Unlike the authors' code this maximises the evidence bound of every row given what was inferred from those before it,
    without weights. Only traits are inferred by a network: states given traits, edges and categories are integrated out
    (states by moments: Ornstein-Uhlenbeck steps and Bayes' rule, row by row), so what is known of one skill says something
    of another through traits and graph alone. With a network that states the states as well, as the authors have it, traits
    were not found again in students drawn from the model. A student's category comes from the rows so far, since one of the
    whole history would look ahead. The unit of time makes the median τ 0.1.

    Raises BadInput for other traits, or no category.
    """

    width: int = 8
    epochs: int = 300
    patience: int = 15
    categories: int = 5
    traits: Kind = "changing"
    graph: bool = True
    timed: bool = True

    def __post_init__(self):
        super().__post_init__()
        if self.traits not in ("changing", "constant", "shared"):
            raise BadInput(f"PSI-KT: traits are 'changing', 'constant' or 'shared', not '{self.traits}'")
        if self.categories < 1:
            raise BadInput(f"PSI-KT: {self.categories=}, and 1 is the least")

    @property
    def name(self) -> str:
        """What the model is called in tables."""
        return "PSI-KT"

    def network(self, log: PracticeLog, *, key: PRNGKeyArray) -> Psi:
        """Return a model of the skills of a log."""
        for_model, for_inference = jax.random.split(key)
        gaps = log.gap[(log.place > 0) & (log.gap > 0)]
        return Psi(
            Generative(log.skill_codes, self.width, self.traits, self.graph, key=for_model),
            Inference(log.skill_codes, self.width, self.categories, key=for_inference),
            jnp.asarray(np.median(gaps) / TAU if len(gaps) else 1.0, jnp.float32),
            jnp.asarray(self.timed, jnp.float32),
        )

    def foresee(self, parameters: Psi, log: PracticeLog, known: np.ndarray) -> Float[np.ndarray, " rows"]:
        """Let states move on where outcomes are not known."""
        return self.answer(parameters, log.hide(~known))

    def students(self, log: PracticeLog) -> Traits:
        """Return the traits of every student of a log after the last row: α, μ, σ and γ, [students] each."""
        parameters, aligned = self._asked(log)
        sizes = np.diff(aligned.starts)
        rows, wanted = windows(aligned, max(self.longest, int(sizes.max())))
        found = _traits(parameters, jax.tree.map(jnp.asarray, rows))
        last, out = wanted.sum(axis=1) - 1, []
        for values in found:
            one = np.full(len(sizes), np.nan)
            one[rows.student] = np.asarray(values)[last, np.arange(len(last))]
            out.append(one)
        return Traits(*out)

    def edges(self) -> Float[np.ndarray, "skills skills"]:
        """Return the probability of every edge i → k of the fitted graph, that skill i prepares for skill k."""
        if self.vocabulary is None:
            raise BadInput("this PSI-KT has not been fitted: call fit(log) first")
        return np.asarray(self.parameters.model.graph())[:-1, :-1]


@jax.jit
def _traits(network: Psi, rows: Rows) -> Traits:
    by_time = turned(rows)
    return read_out(network.posterior(by_time).mean)
