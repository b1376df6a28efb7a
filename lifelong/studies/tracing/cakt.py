"""CAKT: convolve a student's last attempts at the concept that is asked about, and fuse them with a recurrent state.

Practice raises mastery of the concept practised, and a recurrent network must keep every concept's curve in one state. CAKT
looks the last four answers at the next question's concept up, fades each by the rows that have passed since, and convolves
them; two gates fuse the result with the state of an LSTM, and a second LSTM answers (`lifelong.exams.tracing.CAKT`).

Every seed splits the students of a real log into those to learn from and a fifth to be predicted one step ahead; seeds are
lanes. The knock-out convolves the last four answers whatever they are about. All is done again on simulated students whose
answers follow learning curves, with concepts interleaved so that attempts at one are far apart.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from lifelong.exams.tracing import CAKT, DKT, BestLR, Tracer, auc, curve_students, fit_seeds, stacked
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.life import Moment
from lifelong.worlds import PracticeLog, practice_log

STAGES = {"first": (0, 0), "few": (1, 2), "many": (3, 10**6)}
"""Earlier attempts at the concept: from, to."""


def lifetime(arm: Arm, settings: Settings, *, seeds, sweep, progress, checkpoint) -> xr.Dataset:
    """Fit one model on both logs for every seed, and predict the students held out."""
    began, record = time.perf_counter(), {}
    for number, (name, world) in enumerate({"real": real, "simulated": simulated}.items()):
        log, shown = world(settings, seeds)
        log = log.coin_flips(0) if arm.role == "negative control" else log
        weights = shown & ~held_out(shown, seeds, settings.held_out)
        tracer = arm.build(settings)
        fits = fit_seeds(tracer, log, weights.astype(np.float32), seeds)
        held = shown & ~weights
        marks = [marked(tracer, fit, log.only(own)) for fit, own in zip(fits, held, strict=True)]
        record |= {f"{name}_{what}": ("seed", np.array([one[what] for one in marks])) for what in marks[0]}
        progress(Moment(number + 1, 2, time.perf_counter() - began, len(seeds), 0))
    return xr.Dataset(record, {"seed": list(seeds)})


def real(settings: Settings, seeds) -> tuple[PracticeLog, np.ndarray]:
    """Return the first graded attempts of all students, who are there for every seed."""
    log = practice_log(settings.log)
    log = log.rows(log.graded)
    log = log.rows(log.place < settings.attempts)
    return log, np.ones((len(seeds), len(log.students)), bool)


def simulated(settings: Settings, seeds) -> tuple[PracticeLog, np.ndarray]:
    """Return students on learning curves, others for every seed."""
    logs = [curve_students(settings.students, 20, settings.attempts, seed=seed) for seed in seeds]
    log, weights = stacked(logs)
    return log, weights > 0


def held_out(shown: np.ndarray, seeds, share: float) -> np.ndarray:
    """Return which of the students shown each seed holds out."""
    held = np.zeros_like(shown)
    for own, of, seed in zip(held, shown, seeds, strict=True):
        there = np.random.default_rng(seed).permutation(np.flatnonzero(of))
        own[there[: round(share * len(there))]] = True
    return held


def marked(tracer: Tracer, fit: Any, log: PracticeLog) -> dict[str, float]:
    """Return the AUC of held-out answers, in all and by earlier attempts at the concept, and their log-likelihood."""
    p, outcome = tracer.answer(fit, log), log.outcome.astype(float)
    earlier = attempts_before(log)
    found = {"auc": auc(p, outcome)}
    for name, (low, high) in STAGES.items():
        rows = (earlier >= low) & (earlier <= high)
        found[f"{name}_auc"] = auc(p[rows], outcome[rows])
    safe = np.clip(p, 1e-6, 1 - 1e-6)
    return found | {"log_likelihood": float(np.mean(np.where(outcome == 1, np.log(safe), np.log1p(-safe))))}


def attempts_before(log: PracticeLog) -> np.ndarray:
    """Return how often the student had tried the concept of each row."""
    thread = log.student.astype(np.int64) * log.skill_codes + log.skill[:, 0]
    order = np.argsort(thread, kind="stable")
    starts = np.flatnonzero(np.diff(thread[order], prepend=-1))
    before = np.empty(len(log), np.int64)
    before[order] = np.arange(len(log)) - np.repeat(starts, np.diff(np.append(starts, len(log))))
    return before


def cakt(**changes: Any) -> Callable[[Settings], Tracer]:
    """Return what makes a CAKT for some settings."""
    return lambda s: CAKT(epochs=s.epochs, side=s.side, window=s.window, channels=s.channels, **changes)


def dkt(width: str) -> Callable[[Settings], Tracer]:
    """Return what makes a DKT as wide as a setting says."""
    return lambda s: DKT(s[width], s.epochs, learning_rate=0.003)


study = Study(
    slug="cakt",
    question="Do convolutions over the last answers at the concept asked about predict better than a recurrent network?",
    arms={
        "cakt": Arm("method", "the last answers at the next concept", cakt()),
        "current": Arm("variant", "… at the concept answered last", cakt(key="current"), like="cakt"),
        "recency": Arm("knock-out", "the last answers at any concept", cakt(key="any"), like="cakt"),
        "no-decay": Arm("variant", "the last answers do not fade", cakt(fades=False), like="cakt"),
        "dkt": Arm("baseline", "an LSTM with as many parameters", dkt("width")),
        "dkt-wide": Arm("baseline", "an LSTM with ten times as many", dkt("wide")),
        "best-lr": Arm("baseline", "logistic regression on counts", lambda s: BestLR()),
        "coin-flips": Arm("negative control", "CAKT on tosses of a coin", cakt(), like="cakt"),
    },
    lifetime=lifetime,
    measures={
        "auc": lambda life: life.real_auc,
        "log_likelihood": lambda life: life.real_log_likelihood,
        "simulated_auc": lambda life: life.simulated_auc,
        "first_auc": lambda life: life.real_first_auc,
        "few_auc": lambda life: life.real_few_auc,
        "many_auc": lambda life: life.real_many_auc,
    },
    claim=Claim(
        better="cakt",
        than="dkt",
        on="auc",
        by=0.005,
        knockout="recency",
        sentence="Looking back at the next question's concept gains at least 0.005 of AUC over a recurrent network of as many "
        "parameters, and looking back at any concept loses the gain.",
    ),
    controls=(
        Control("coin-flips", "auc", at_least=0.48, at_most=0.52, because="tosses of a coin cannot be predicted"),
        Control("best-lr", "auc", at_least=0.6, because="the log can be predicted from counts"),
    ),
    secondary=(
        Claim(
            "cakt",
            "dkt",
            "simulated_auc",
            by=0.005,
            knockout="recency",
            sentence="The same holds of simulated students.",
        ),
        Claim(
            "cakt",
            "current",
            "auc",
            sentence="The concept of the question is a better key than that of the last answer.",
        ),
        Claim("cakt", "no-decay", "auc", sentence="Fading helps."),
        Claim("cakt", "dkt", "many_auc", sentence="The gain is there after three and more attempts at the concept."),
        Claim("cakt", "dkt-wide", "auc", sentence="CAKT is ahead of a recurrent network of ten times its size, too."),
        Claim("cakt", "best-lr", "auc", sentence="CAKT is ahead of logistic regression on counts."),
    ),
    settings={
        "log": "lkt",
        "seeds": 8,
        "attempts": 60,
        "held_out": 0.2,
        "students": 200,
        "side": 4,
        "window": 4,
        "channels": 2,
        "epochs": 20,
        "width": 14,
        "wide": 64,
    },
    budgets={"smoke": {"seeds": 2, "epochs": 1, "students": 20}, "quick": {"epochs": 10}, "full": {}},
    simplified="One real log, its first 60 graded attempts; frames of 4×4 numbers, two blocks with two channels between them, "
    "LSTMs of 16, at most 20 epochs, for 15×15, four blocks and 225; eight splits. No batch norm. The "
    "best epoch is chosen by students kept apart, not by those tested.",
    curve="real_auc",
)
