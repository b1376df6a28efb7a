"""Bayesian knowledge tracing (Corbett and Anderson 1995): a hidden two-state chain for every skill."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog, Vocabulary

from ._expectation import LEAST, Numbers, Problem, maximise
from ._markov import Chain, Filtered, filtered
from ._threads import Patterns, Threads, patterns
from ._tracer import Tracer

STARTS = {
    "prior": (0.05, 0.9),
    "learn": (0.02, 0.5),
    "forget": (0.01, 0.3),
    "guess": (0.02, 0.45),
    "slip": (0.02, 0.45),
}
"""Ranges from which restarts begin, evenly."""

USUAL = Chain(*(np.float32(v) for v in (0.4, 0.15, 0.05, 0.2, 0.1)))
"""Where the first restart begins, and where pseudo-attempts pull to."""

NEAR = 1e-3
"""This near to a bound, a fitted probability is said to be at it."""


@dataclass
class BKT(Tracer):
    """Trace whether each skill is known by the chain of `lifelong.exams.tracing`'s Markov module, fitted by EM.

    Every skill has its own probabilities of being known at first, of being learned at an attempt, of a guess, of a
    slip and, with `forgets`, of being forgotten; without, that one is 0. They are fitted by expectation maximisation
    from `restarts` starts (the usual values, then random ones), and the best start counts, skill by skill. A row of
    several skills has the mean of their probabilities; a skill that is new has the mean chain of all skills, weighted
    by attempts.

    `guess_at_most` and `slip_at_most` keep the states what they are called: with both at most ½, a known skill never
    answers worse than an unknown one (Beck and Chang 2007 call fits where it does degenerate); `fit` warns of skills at
    these bounds. `pseudo` attempts of usual outcome are added to every count, so that rare skills stay near usual
    values. A fit ends when no start of no skill gains more than `tolerance` nats in a step, or after `steps`.

    Raises BadInput for bounds outside (0, 1], and for less than one restart or step.
    """

    forgets: bool = False
    restarts: int = 20
    steps: int = 200
    tolerance: float = 1e-2
    guess_at_most: float = 0.5
    slip_at_most: float = 0.5
    pseudo: float = 1.0

    def __post_init__(self):
        if min(self.restarts, self.steps) < 1:
            raise BadInput(f"a fit needs one restart and one step at least: {self.restarts=}, {self.steps=}")
        if not (0 < self.guess_at_most <= 1 and 0 < self.slip_at_most <= 1):
            raise BadInput(
                f"bounds lie in (0, 1]: guess_at_most={self.guess_at_most}, slip_at_most={self.slip_at_most}"
            )

    @property
    def name(self) -> str:
        """What the model is called in tables."""
        return "BKT, forgetting" if self.forgets else "BKT"

    def learn(self, log: PracticeLog, weights: Float[np.ndarray, "lanes students"], *, seed: int) -> Chain:
        """Fit every restart of every lane in one program, and keep the best one skill by skill."""
        skills = len(log.skills)
        problems = [_problem(patterns(group), weights[:, group.student]) for group in Threads(log).groups]
        starts = self._starts(len(weights), skills, seed)
        bounds = Chain(1.0, 1.0, float(self.forgets), self.guess_at_most, self.slip_at_most)
        numbers = Numbers(bounds, USUAL, self.pseudo, self.tolerance)
        lanes = jnp.arange(len(weights)).repeat(self.restarts)
        together = 1 if jax.default_backend() == "cpu" else len(lanes)
        fits, logs = maximise(problems, starts, lanes, numbers, steps=self.steps, together=together)
        best = np.asarray(logs).reshape(len(weights), self.restarts, skills).argmax(axis=1)[:, None]
        parted = (np.asarray(values).reshape(len(weights), self.restarts, skills) for values in fits)
        chain = [np.take_along_axis(values, best, axis=1)[:, 0] for values in parted]
        attempts = np.stack([_attempts(log, lane) for lane in weights])
        return Chain(*(_with_new(values, attempts) for values in chain))

    def _starts(self, lanes: int, skills: int, seed: int) -> Chain:
        """Return [lanes · restarts, skills] starts; the first of a lane is the usual one, and lanes differ in the others."""
        drawn = [np.random.default_rng((seed, lane)).random((5, self.restarts, skills)) for lane in range(lanes)]
        values = {}
        for i, (name, (low, high)) in enumerate(STARTS.items()):
            one = low + (high - low) * np.stack(drawn)[:, i]
            one[:, 0] = getattr(USUAL, name)
            values[name] = one.reshape(-1, skills)
        if not self.forgets:
            values["forget"][:] = 0
        bounded = {"guess": self.guess_at_most, "slip": self.slip_at_most}
        return Chain(*(jnp.asarray(np.minimum(v, bounded.get(n, 1.0)), jnp.float32) for n, v in values.items()))

    def answer(self, parameters: Chain, log: PracticeLog) -> Float[np.ndarray, " rows"]:
        """Filter every thread forwards."""
        threads = Threads(log)
        followed = [_follow(parameters, group.skill, group.outcome) for group in threads.groups]
        return threads.by_row([np.asarray(one.right).T for one in followed])

    def know(self, parameters: Chain, log: PracticeLog, later: float) -> Float[np.ndarray, "students skills"]:
        """Return the probability that each skill is known after the last row; the chain knows no time but attempts."""
        threads = Threads(log)
        known = np.tile(np.asarray(parameters.prior[:-1], np.float64), (len(log.students), 1))
        return threads.by_skill([_follow(parameters, g.skill, g.outcome).last for g in threads.groups], known)

    def gain(self, parameters: Chain, log: PracticeLog) -> Float[np.ndarray, "students skills"]:
        """Return how much one attempt raises the probability that a skill is known: (1 − p)·learn − p·forget."""
        known = self.know(parameters, log, 0.0)
        learn, forget = (np.asarray(values[:-1]) for values in (parameters.learn, parameters.forget))
        return (1 - known) * learn - known * forget

    def worth(self, known: float, gain: float) -> str:
        """Say how far one attempt is expected to raise what is known."""
        return f"and one attempt is expected to raise that by {100 * gain:.0f} points"

    def doubts(self, parameters: Chain, vocabulary: Vocabulary) -> tuple[str, ...]:
        """Name skills whose guess or slip is at its bound, and skills that practice does not move."""
        guess, slip, learn = (np.asarray(v[:-1]) for v in (parameters.guess, parameters.slip, parameters.learn))
        found = {
            f"guess at its bound {self.guess_at_most:g}": guess > self.guess_at_most - NEAR,
            f"slip at its bound {self.slip_at_most:g}": slip > self.slip_at_most - NEAR,
            "a right answer that speaks against knowing it": 1 - slip < guess,
            "no learning": learn < NEAR,
        }
        return tuple(
            f"{int(which.sum())} of {len(which)} skills have {what}, so read their mastery with care: "
            + _listed([vocabulary.skills[k] for k in np.flatnonzero(which)])
            for what, which in found.items()
            if which.any()
        )


def _listed(names: list[str], most: int = 3) -> str:
    shown = [name if len(name) <= 40 else name[:39] + "…" for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def _problem(found: Patterns, weights: Float[np.ndarray, "lanes threads"]) -> Problem:
    weight = found.weigh(weights).astype(np.float32)
    return Problem(jnp.asarray(found.skill), jnp.asarray(found.outcome.T), jnp.asarray(weight))


def _attempts(log: PracticeLog, weights: Float[np.ndarray, " students"]) -> Float[np.ndarray, " skills"]:
    entries = log.skill >= 0
    weight = np.broadcast_to(weights[log.student][:, None], entries.shape)[entries]
    return np.bincount(log.skill[entries], weight, minlength=len(log.skills))


def _with_new(values: Float[np.ndarray, "lanes skills"], attempts: Float[np.ndarray, "lanes skills"]) -> np.ndarray:
    """Return the values with their mean, weighted by attempts, as that of a skill that is new."""
    mean = (values * (attempts + LEAST)).sum(axis=1) / (attempts + LEAST).sum(axis=1)
    return np.column_stack([values, mean]).astype(np.float32)


@jax.jit
def _follow(chain: Chain, skill: Int[Array, " threads"], outcome: Int[Array, "threads length"]) -> Filtered:
    return filtered(chain.of(skill), outcome.T.astype(jnp.int32))
