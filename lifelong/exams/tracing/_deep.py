"""Tracers that are networks: one trainer for all, with folds, restarts and seeds as lanes of one compiled program."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from ._network import Network
from ._probes import probes
from ._rows import Rows, pieces, windows
from ._tracer import Tracer
from ._training import Course, train

AT_ONCE = 64
"""Windows that are answered at a time."""


@dataclass
class Deep(Tracer):
    """A tracer whose parameters are those of a network, trained by Adam on minibatches of pieces of histories.

    A tenth of the students (all of them, where they are fewer than ten) is kept to stop by: after every epoch the network
    predicts them, the best epoch counts, and `patience` epochs without a better one end the training. Histories longer
    than `longest` rows are learned in pieces; predictions look back at least half as far. Lane i of seed s draws as lane 0
    of seed s + i does, so consecutive seeds can be lanes.

    Raises BadInput for a size below 1 or a learning rate that is not above 0.
    """

    width: int = 32
    epochs: int = 100
    batch: int = 32
    learning_rate: float = 5e-3
    patience: int = 5
    longest: int = 200

    def __post_init__(self):
        for name in ("width", "epochs", "batch", "patience", "longest"):
            if getattr(self, name) < 1:
                raise BadInput(f"{self.name}: {name}={getattr(self, name)}, and 1 is the least")
        if not self.learning_rate > 0:
            raise BadInput(f"{self.name}: the learning rate must be above 0, not {self.learning_rate}")

    def network(self, log: PracticeLog, *, key: PRNGKeyArray) -> Network:
        """Return a network that has learned nothing, for the skills and items of a log."""
        raise NotImplementedError

    def prepared(self, rows: Rows) -> Rows:
        """Return rows with whatever else the network needs in `extra`."""
        return rows

    def learn(self, log: PracticeLog, weights: Float[np.ndarray, "lanes students"], *, seed: int) -> PyTree:
        """Train a network for every lane."""
        groups = [self.prepared(rows) for rows in pieces(log, self.longest)]
        keys = jnp.stack([jax.random.key(seed + lane) for lane in range(len(weights))])
        networks = jax.vmap(lambda key: self.network(log, key=key))(keys)
        course = Course(self.epochs, self.batch, self.patience, self.learning_rate)
        return jax.tree.map(np.asarray, train(networks, groups, weights, course, seed))

    def answer(self, parameters: Network, log: PracticeLog) -> Float[np.ndarray, " rows"]:
        """Follow every student through the log."""
        return self._answered(parameters, log)

    def foresee(
        self, parameters: Network, log: PracticeLog, known: Bool[np.ndarray, " rows"]
    ) -> Float[np.ndarray, " rows"]:
        """Return predictions in which rows whose outcome is not known leave no trace."""
        return self._answered(parameters, log.hide(~known), log.graded & ~known)

    def know(self, parameters: Network, log: PracticeLog, later: float) -> Float[np.ndarray, "students skills"]:
        """Return the probability that an attempt at each skill would be right."""
        asked = probes(log, later)
        return asked.table(self._answered(parameters, asked.log, asked.asks))

    def _answered(
        self, parameters: Network, log: PracticeLog, asks: Bool[np.ndarray, " rows"] | None = None
    ) -> Float[np.ndarray, " rows"]:
        rows, wanted = windows(log, self.longest, np.zeros(len(log), bool) if asks is None else asks)
        rows, out = self.prepared(rows), np.zeros(len(log))
        for start in range(0, len(wanted), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            batch = jax.tree.map(lambda column, some=some: _filled(column[some]), rows)
            p = np.asarray(_right(parameters, batch), np.float64)[: len(wanted[some])]
            out[rows.row[some][wanted[some]]] = p[wanted[some]]
        return out


def _filled(column: np.ndarray) -> np.ndarray:
    """Return a batch of the usual size, filled up with repetitions of its first piece."""
    return np.concatenate([column, np.repeat(column[:1], AT_ONCE - len(column), axis=0)])


@jax.jit
def _right(network: Network, rows: Rows) -> Float[Array, "pieces length"]:
    return jax.nn.sigmoid(network.logits(rows))
