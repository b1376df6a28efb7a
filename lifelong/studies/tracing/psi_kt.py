"""PSI-KT: a student is a few traits over a graph of prerequisites, so ten answers are enough to know one.

States of all skills follow Ornstein-Uhlenbeck processes whose speed, level and volatility are traits of the student, and
whose level prerequisites lift, as far as a fourth trait carries them. Traits are inferred by a network from the answers so
far, states given traits by Bayes' rule, and all is learned together with the graph by maximising the evidence bound
(`lifelong.exams.tracing.PSIKT`).

The protocol is the paper's: a hundred students of a real log, ten attempts of each to learn from, the ten after them to
predict open loop, from times and skills alone. Every seed draws its own students and weights; seeds are lanes. The same is
done with forty attempts to learn from, where a recurrent network has more to go by, and (for two arms) with all attempts
of the first session, to predict the first ones after the pause. Knock-outs take away the personal traits, their change, the
graph, or the gaps.

The arm `simulated` is fitted to students drawn from the model itself, of whom traits and graph are known, and the fits to
forty attempts are asked for them; `shuffled` compares the same fits with the traits and edges of others.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from lifelong.exams.tracing import (
    DKT,
    PSIKT,
    BestLR,
    HalfLife,
    PsiStudents,
    Tracer,
    auc,
    fit_seeds,
    marks_of,
    pause,
    psi_students,
    stacked,
)
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.life import Moment
from lifelong.worlds import PracticeLog, practice_log

TRAITS = ("forgetting", "level", "volatility", "transfer")
FRESH = 1000
"""Where seeds of simulated students begin: those below were looked at while the model was written."""
Task = tuple[np.ndarray, np.ndarray]


class Way(NamedTuple):
    """How an arm traces: its model, and whether it is asked what was retained, too."""

    model: Callable[[Settings], Tracer]
    retention: bool = False


def lifetime(arm: Arm, settings: Settings, *, seeds, sweep, progress, checkpoint) -> xr.Dataset:
    """Fit one model to every seed's students, task by task, and predict them ahead."""
    way, began, record = arm.build, time.perf_counter(), {}
    found = drawn(settings, seeds) if arm.role == "positive control" else []
    log, weights = stacked([one.log for one in found]) if found else real(arm, settings, seeds)
    tasks = tasks_of(log, settings, way.retention)
    for number, (name, task) in enumerate(tasks.items()):
        tracer = way.model(settings)
        fits = fit_seeds(tracer, log.rows(task[0]), weights, seeds)
        marks = [marked(tracer, fit, log, task, own) for fit, own in zip(fits, weights, strict=True)]
        record |= {f"{name}_{what}": ("seed", np.array([one[what] for one in marks])) for what in marks[0]}
        if name == "later" and found:
            record |= recovered(tracer, fits, log, weights, found)
        progress(Moment(number + 1, len(tasks), time.perf_counter() - began, len(seeds), 0))
    return xr.Dataset(record, {"seed": list(seeds)})


def real(arm: Arm, settings: Settings, seeds) -> tuple[PracticeLog, np.ndarray]:
    """Return the graded attempts of the log, and the students that every seed draws."""
    log = practice_log(settings.log)
    log = log.rows(log.graded)
    log = log.coin_flips(0) if arm.role == "negative control" else log
    weights = np.zeros((len(seeds), len(log.students)), np.float32)
    for own, seed in zip(weights, seeds, strict=True):
        own[np.random.default_rng(seed).permutation(len(own))[: settings.students]] = 1.0
    return log, weights


def drawn(settings: Settings, seeds) -> list[PsiStudents]:
    """Return students of the model itself, with a graph of their own for every seed; none that it was developed on."""
    return [psi_students(settings.drawn, settings.skills, settings.attempts, seed=FRESH + seed) for seed in seeds]


def tasks_of(log: PracticeLog, settings: Settings, retention: bool) -> dict[str, Task]:
    """Return for every task which rows are known and which are asked."""
    counts = {"soon": settings.known, "later": settings.known_later}
    tasks = {
        name: (log.place < count, (log.place >= count) & (log.place < count + settings.ahead))
        for name, count in counts.items()
    }
    return tasks | ({"retained": pause(log)} if retention else {})


def marked(tracer: Tracer, fit: Any, log: PracticeLog, task: Task, own: np.ndarray) -> dict[str, float]:
    """Return the marks of one seed's predictions for its own students."""
    known, asked = task
    part, within = log.rows(known | asked), own[log.student[known | asked]] > 0
    mine = part.rows(within).only(own > 0)
    p = tracer.foresee(fit, mine, known[known | asked][within])
    of = asked[known | asked][within]
    marks = marks_of(p[of], mine.outcome[of].astype(float))
    return {"log_likelihood": marks.log_likelihood, "auc": marks.auc, "accuracy": marks.accuracy}


def recovered(
    tracer: PSIKT, fits: list, log: PracticeLog, weights: np.ndarray, found: list[PsiStudents]
) -> dict[str, Any]:
    """Return how traits and edges, inferred from all rows, agree with the truth, and with that of others."""
    values: dict[str, list[Any]] = {}
    for seed, (fit, own, truth) in enumerate(zip(fits, weights, found, strict=True)):
        tracer.parameters, tracer.vocabulary = fit, log.vocabulary
        inferred = tracer.students(log.only(own > 0))
        order, random = [int(name.split()[1]) for name in truth.log.students], np.random.default_rng(seed)
        for name in TRAITS:
            one, true = getattr(inferred, name), getattr(truth.traits, name)[order]
            values.setdefault(name, []).append(spearmanr(one, true)[0])
            values.setdefault(f"shuffled_{name}", []).append(spearmanr(one, random.permutation(true))[0])
        off = ~np.eye(len(truth.graph), dtype=bool)
        edges, true = tracer.edges()[off], truth.graph[off]
        values.setdefault("edges", []).append(auc(edges, true))
        values.setdefault("shuffled_edges", []).append(auc(edges, random.permutation(true)))
    return {name: ("seed", np.array(of)) for name, of in values.items()}


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return what was retained, where it was asked, and what was recovered of the students drawn."""
    values = {arm: {"retained": lives[arm].retained_log_likelihood} for arm in ("psi-kt", "no-time")}
    of = lives["simulated"]
    for arm, prefix in (("simulated", ""), ("shuffled", "shuffled_")):
        values[arm] = {f"recovered_{name}": of[prefix + name] for name in (*TRAITS, "edges")}
    return values


def psi(**changes: Any) -> Callable[[Settings], Tracer]:
    """Return what makes a PSI-KT for some settings."""
    return lambda s: PSIKT(epochs=s.epochs, patience=s.patience, learning_rate=s.learning_rate, **changes)


study = Study(
    slug="psi-kt",
    question="Do personal traits over a graph of prerequisites predict ten answers from ten better than a recurrent network?",
    arms={
        "psi-kt": Arm("method", "traits, states and a graph", Way(psi(), retention=True)),
        "dkt": Arm("baseline", "an LSTM that reads answers", Way(lambda s: DKT(32))),
        "best-lr": Arm("baseline", "logistic regression on counts", Way(lambda s: BestLR())),
        "half-life": Arm("baseline", "half-life regression on counts and gaps", Way(lambda s: HalfLife())),
        "shared-traits": Arm("knock-out", "all students have the same traits", Way(psi(traits="shared"))),
        "static-traits": Arm("variant", "traits never change", Way(psi(traits="constant"))),
        "no-graph": Arm("variant", "no prerequisites", Way(psi(graph=False)), like="psi-kt"),
        "no-time": Arm("variant", "all gaps alike", Way(psi(timed=False), retention=True), like="psi-kt"),
        "simulated": Arm("positive control", "students of the model itself", Way(psi())),
        "coin-flips": Arm("negative control", "PSI-KT on tosses of a coin", Way(psi()), like="psi-kt"),
    },
    derived=("shuffled",),
    lifetime=lifetime,
    measures={
        "log_likelihood": lambda life: life.soon_log_likelihood,
        "auc": lambda life: life.soon_auc,
        "accuracy": lambda life: life.soon_accuracy,
        "later_log_likelihood": lambda life: life.later_log_likelihood,
        "later_auc": lambda life: life.later_auc,
    },
    across=across,
    claim=Claim(
        better="psi-kt",
        than="dkt",
        on="log_likelihood",
        by=0.005,
        knockout="shared-traits",
        sentence="From ten attempts, PSI-KT predicts the next ten with a mean log-likelihood at least 0.005 nats above a "
        "recurrent network's, and traits shared by all students lose the gain.",
    ),
    controls=(
        Control("coin-flips", "auc", at_least=0.47, at_most=0.53, because="tosses of a coin cannot be predicted"),
        Control("best-lr", "auc", at_least=0.55, because="the log can be predicted from counts"),
        Control("shuffled", "recovered_level", at_least=-0.1, at_most=0.1, because="the traits of others say nothing"),
    ),
    secondary=(
        Claim("dkt", "psi-kt", "later_log_likelihood", sentence="From forty attempts, the recurrent network is ahead."),
        Claim("psi-kt", "best-lr", "log_likelihood", sentence="PSI-KT is ahead of logistic regression on counts."),
        Claim("psi-kt", "no-graph", "log_likelihood", sentence="The graph helps."),
        Claim("psi-kt", "static-traits", "log_likelihood", sentence="That traits change helps."),
        Claim("psi-kt", "no-time", "retained", sentence="Gaps matter for what is retained after a pause."),
        Claim(
            "simulated",
            "shuffled",
            "recovered_forgetting",
            by=0.3,
            sentence="Forgetting rates are found again (ρ > 0.3).",
        ),
        Claim(
            "simulated", "shuffled", "recovered_level", by=0.3, sentence="Long-run levels are found again (ρ > 0.3)."
        ),
        Claim(
            "simulated",
            "shuffled",
            "recovered_transfer",
            by=0.3,
            sentence="Transfer abilities are found again (ρ > 0.3).",
        ),
        Claim("simulated", "shuffled", "recovered_edges", by=0.1, sentence="Edges are found again (AUC > 0.6)."),
    ),
    settings={
        "log": "lkt",
        "seeds": 8,
        "students": 100,
        "known": 10,
        "known_later": 40,
        "ahead": 10,
        "epochs": 100,
        "patience": 30,
        "learning_rate": 0.01,
        "drawn": 200,
        "skills": 8,
        "attempts": 50,
    },
    budgets={"smoke": {"seeds": 2, "epochs": 3, "drawn": 20}, "quick": {"epochs": 40}, "full": {}},
    simplified="One log (statistics cloze practice) for three; embeddings of 8 numbers and five categories for 16 and "
    "ten; at most 100 epochs, stopped by a tenth of the students. Edges, categories and states are integrated out instead of "
    "sampled, states by moments and not by an LSTM, and the evidence bound has no weights. The recurrent network stops by "
    "the same students.",
    curve="soon_auc",
)
