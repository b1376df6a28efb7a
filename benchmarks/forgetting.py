"""Does tracing a network's practice predict what it will have forgotten better than its last exam score does?

    python benchmarks/forgetting.py [--seeds 24] [--json]

Declared before it was run. A perceptron meets five pairs of digits one after the other, again and again, each for 12 steps,
one head for all (domain-incremental), and is examined on all of them after every 12 steps. The question is whether it will
pass (80 % right) the next exam on a task that it is *not* taught until then: what is kept, and what is forgotten. Asked are
all such sittings from the second on, of lifetimes that nothing was fitted to (5 folds).

Baseline: a logistic regression on the share of right answers in the last exam of that task, with a constant for every
task. Tracers see less of exams, passed or not, but also when each lesson was and whether its batch was passed.

Claim: DAS3H (counts in time windows) has a lower Brier score than the baseline, by 0.01 at least, on average over lifetimes.
Other tracers are reported beside it, without weight. All of them look at the task's own past alone, so nobody
sees answers of the same sitting. results/forgetting.json keeps the last run.
"""

import argparse
import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import optax
from sklearn.linear_model import LogisticRegression

from lifelong.exams import Accuracy, mean_interval
from lifelong.exams.tracing import MODELS, cross_validate, practice_of
from lifelong.learners import GradientLearner
from lifelong.life import Life, live
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import PracticeLog, Split, dataset

RESULTS = Path(__file__).resolve().parent / "results" / "forgetting.json"
TASKS, LESSONS, ROUNDS, PASS = 5, 12, 6, 0.8
PRIMARY, LEAST = "das3h", 0.01
TRACERS = (PRIMARY, "rates", "bkt", "bkt-forgetting", "pfa", "half-life")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=24, help="lifetimes (24 unless given)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    found = measure(lived(options.seeds)) | {
        "seeds": options.seeds,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"{found['asked']} sittings of tasks not taught since the last exam, {found['passed']:.1%} passed")
    for name, row in found["models"].items():
        gain = row.get("gain")
        words = f"   better than the last score by {gain[0]:+.4f} ({gain[1]:+.4f} to {gain[2]:+.4f})" if gain else ""
        print(f"{name:16} Brier {row['brier']:.4f}{words}")
    print(f"the claim is {found['verdict']}")
    return 0


def lived(seeds: int) -> Life:
    """Live the lifetimes."""
    data = dataset("digits").standardized()
    learner = GradientLearner(
        Recipe(MLP, inputs=data.features, outputs=2, width=64, depth=1),
        optimizer=Recipe(optax.sgd, learning_rate=0.05),
        batch=10,
    )
    world = Split(data, TASKS, scenario="domain", shuffle=True)
    steps = TASKS * LESSONS * ROUNDS
    return live(learner, world, OneByOne(TASKS, LESSONS), Accuracy(), steps=steps, every=LESSONS, seeds=seeds)


def measure(life: Life) -> dict:
    """Return the Brier score of every model on the sittings asked for, and its gain over the last score by lifetime."""
    log = practice_of(life, "accuracy", attempts="both", pass_mark=PASS)
    exam = np.array(["exam" in name for name in log.items])[log.item]
    last, asked = last_score(life, log, exam)
    validations = {name: cross_validate(MODELS[name](), log) for name in TRACERS}
    fold = validations[PRIMARY].fold[log.student]
    predictions = {"last score": calibrated(last, asked, log, fold)}
    predictions |= {name: one.p for name, one in validations.items()}
    brier = {name: by_lifetime((p - log.outcome) ** 2, asked, log) for name, p in predictions.items()}
    models = {name: {"brier": float(values.mean())} for name, values in brier.items()}
    for name in TRACERS:
        gain = mean_interval(brier["last score"] - brier[name])
        models[name]["gain"] = [float(np.mean(brier["last score"] - brier[name])), gain.low, gain.high]
    mean, low, high = models[PRIMARY]["gain"]
    verdict = "supported" if low > 0 and mean >= LEAST else "refuted" if high < LEAST else "inconclusive"
    passed = float(log.outcome[asked].mean())
    return {"asked": int(asked.sum()), "passed": passed, "models": models, "verdict": verdict}


def last_score(life: Life, log: PracticeLog, exam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for every row the share right in the last exam of its task, and which sittings are asked for."""
    accuracy, taught = life.exams["accuracy"], life.records["taught"]
    sat = np.searchsorted(life.exam_steps, np.round(log.time / 3600).astype(int))
    task, before = log.skill[:, 0], np.maximum(sat - 1, 0)
    last = accuracy[log.student, before, task]
    between = [taught[:, low:high] for low, high in pairwise(life.exam_steps.tolist())]
    met = np.stack([(lessons[..., None] == np.arange(TASKS)).any(1) for lessons in between], axis=1)
    return last, exam & (sat >= 1) & ~met[log.student, before, task]


def calibrated(last: np.ndarray, asked: np.ndarray, log: PracticeLog, fold: np.ndarray) -> np.ndarray:
    """Return the baseline's predictions of the rows asked for, each from a fit to the other folds."""
    features = np.column_stack([last, log.skill == np.arange(TASKS)])
    p = np.full(len(log), 0.5)
    for f in np.unique(fold):
        model = LogisticRegression(C=100.0, max_iter=1000).fit(
            features[asked & (fold != f)], log.outcome[asked & (fold != f)]
        )
        rows = asked & (fold == f)
        p[rows] = model.predict_proba(features[rows])[:, 1]
    return p


def by_lifetime(values: np.ndarray, asked: np.ndarray, log: PracticeLog) -> np.ndarray:
    """Return the mean over the rows asked for, lifetime by lifetime."""
    sums, counts = (np.bincount(log.student[asked], w, minlength=len(log.students)) for w in (values[asked], None))
    return sums / counts


if __name__ == "__main__":
    raise SystemExit(main())
