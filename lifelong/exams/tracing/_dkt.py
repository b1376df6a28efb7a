"""Deep knowledge tracing (Piech et al. 2015): a recurrent network reads answers and says what would be right next."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.nets import recur, recur_held
from lifelong.worlds import PracticeLog

from ._deep import Deep
from ._network import Network
from ._rows import Rows
from ._tokens import Answers, Table, delayed, mean_row, turned


class Recurrent(Network):
    """An LSTM over answers; `answers` holds what each adds to its gates, so that no product with ones and zeros is taken."""

    answers: Answers
    bias: Float[Array, " gates"]
    recurrent: Float[Array, "width gates"]
    readout: Table

    def __init__(self, skills: int, width: int, *, key: PRNGKeyArray):
        for_answers, for_recurrent, for_readout = jax.random.split(key, 3)
        self.answers = Answers(skills, 4 * width, key=for_answers)
        self.bias = jnp.zeros(4 * width).at[width : 2 * width].set(1.0)
        self.recurrent = jax.random.uniform(for_recurrent, (width, 4 * width), minval=-1.0) / width**0.5
        self.readout = Table(skills, width + 1, key=for_readout)

    def logits(self, rows: Rows) -> Float[Array, "pieces length"]:
        """Return logits, a mean over the skills of a row."""
        by_time = turned(rows)
        given = self.answers(by_time.skill, by_time.outcome, self.bias)
        if by_time.asks is None:
            before = recur(given, self.recurrent)
        else:
            before = delayed(recur_held(given, self.recurrent, by_time.asks)[0])
        return asked(self.readout, before, by_time.skill).T


def asked(readout: Table, state: Float[Array, "*shape width"], skill: Array) -> Float[Array, "*shape"]:
    """Return w·h + b with the weights and bias of the skills asked for, in the mean."""
    table, place = readout.shared + readout.own, jnp.maximum(skill, 0)
    return (mean_row(table[:, :-1], place, skill) * state).sum(axis=-1) + mean_row(table[:, -1:], place, skill)[..., 0]


@dataclass
class DKT(Deep):
    """P(right) = σ(w_k·h + b_k), where h is the state of an LSTM that has read which skills were answered right or wrong.

    The network of Piech et al. 2015 ("Deep Knowledge Tracing", section 3) with one layer of `width` units. Its one-hot
    input is a table of what each answer adds to the gates; studied rows have an answer of their own. A row of several
    skills is read and asked as their mean, in one step. No dropout: training stops early instead.
    """

    def network(self, log: PracticeLog, *, key: PRNGKeyArray) -> Recurrent:
        """Return an LSTM for the skills of a log."""
        return Recurrent(log.skill_codes, self.width, key=key)
