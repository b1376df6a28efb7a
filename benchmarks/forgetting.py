"""Does tracing a network's practice predict what it will have forgotten better than its last exam score does?

    python benchmarks/forgetting.py [digits] [language] [--json]

Declared before it was run. A learner meets tasks one after the other, again and again, and is examined on all of them after
each. The question is whether it will pass the next exam on a task that it is *not* taught until then: what is kept, and what
is forgotten. Asked are all such sittings from the second on, of lifetimes that nothing was fitted to (5 folds). Two lives:

- digits: a perceptron, five pairs of digits, 12 steps each, one head for all (domain-incremental); 80 % right is a pass. 24
  lifetimes.
- language: a small transformer that is shown demonstrations in a world of biographies, 30 steps each of facts, of questions
  about them, and of questions about a prompt. An answer is right where every demonstrated word is the one that the model holds
  likeliest; half of them right is a pass. 12 lifetimes. How many steps and which rate leave something to be forgotten was
  tried on two other seeds, by the scores alone.

Baseline: a logistic regression on the share of right answers in the last exam of that task, with a constant for every
task. Tracers see less of exams, passed or not, but also when each lesson was and whether its batch was passed.

Claim: DAS3H (counts in time windows) has a lower Brier score than the baseline, by 0.01 at least, on average over lifetimes.
Other tracers are reported beside it, without weight. All of them look at the task's own past alone, so nobody
sees answers of the same sitting. results/forgetting.json keeps the last run of each life.
"""

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.linear_model import LogisticRegression

from lifelong.exams import Accuracy, Exam, mean_interval
from lifelong.exams.tracing import MODELS, cross_validate, practice_of
from lifelong.learners import GradientLearner, Learner, next_token_learner
from lifelong.life import Life, live
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import KvBio, PracticeLog, Split, World, dataset

RESULTS = Path(__file__).resolve().parent / "results" / "forgetting.json"
PRIMARY, LEAST = "das3h", 0.01
TRACERS = (PRIMARY, "rates", "bkt", "bkt-forgetting", "pfa", "half-life")


class Course(NamedTuple):
    """What is taught and examined: the first `tasks` of a world, `lessons` each, in so many rounds; `score` passes exams."""

    world: World
    learner: Learner
    exam: Exam
    tasks: int
    lessons: int
    rounds: int
    passes: float
    lifetimes: int

    @property
    def score(self) -> str:
        """The name of the exam's result."""
        return next(iter(self.exam.dims))

    def live(self) -> Life:
        """Live the lifetimes."""
        teacher = OneByOne(self.tasks, self.lessons)
        steps = self.tasks * self.lessons * self.rounds
        return live(self.learner, self.world, teacher, self.exam, steps=steps, every=self.lessons, seeds=self.lifetimes)


def digits() -> Course:
    """Return pairs of digits for a perceptron."""
    data = dataset("digits").standardized()
    learner = GradientLearner(
        Recipe(MLP, inputs=data.features, outputs=2, width=64, depth=1),
        optimizer=Recipe(optax.sgd, learning_rate=0.05),
        batch=10,
    )
    world = Split(data, 5, scenario="domain", shuffle=True)
    return Course(world, learner, Accuracy(), tasks=5, lessons=12, rounds=6, passes=0.8, lifetimes=24)


def language() -> Course:
    """Return biographies for a small transformer: facts, questions about them, and reading a prompt."""
    world, tasks, lessons, rounds = KvBio(), 3, 30, 6
    learner = next_token_learner(
        world.outputs,
        steps=4 * tasks * lessons * rounds,
        learning_rate=1e-2,
        batch=32,
        width=32,
        heads=2,
        kv_heads=1,
        hidden=88,
    )
    return Course(world, learner, Recited(50), tasks, lessons, rounds, passes=0.5, lifetimes=12)


class Recited(Exam):
    """Ask held-out problems of every task: the share whose demonstrated answer is, word for word, the likeliest.

    That is the answer that the model would write, if it always wrote the likeliest word.
    """

    questions: int = eqx.field(static=True)

    def sit(self, state: Any, learner: Learner, world: World, *, key: jax.Array) -> dict[str, jax.Array]:
        """Return {'recited': [tasks]}."""
        here: Any = world
        asked = jnp.concatenate([here.exam_set(task, self.questions) for task in range(world.tasks)])
        wanted = here.demonstrate(asked, key=key)
        logits = state.model.read(jnp.concatenate([asked, wanted], 1)[:, :-1])
        likeliest = logits[:, asked.shape[1] - 1 :].argmax(-1)
        right = ((likeliest == wanted) | (wanted < 0)).all(1)
        return {"recited": right.reshape(world.tasks, self.questions).mean(1)}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One value a task."""
        return {"recited": ("task",)}

    @property
    def whole(self) -> bool:
        """The model alone is looked at."""
        return False


COURSES: dict[str, Callable[[], Course]] = {"digits": digits, "language": language}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lives", nargs="*", metavar="LIFE", help=f"{' or '.join(COURSES)}; all unless given")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    found = {name: measure(COURSES[name]()) for name in options.lives or COURSES}
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(kept | found, indent=1) + "\n")
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    for name, result in found.items():
        print(
            f"{name}: {result['asked']} sittings of tasks not taught since the last exam, {result['passed']:.1%} passed"
        )
        for model, row in result["models"].items():
            print(f"{model:16} Brier {row['brier']:.4f}{in_words(row.get('gain'))}")
        print(f"the claim is {result['verdict']}")
    return 0


def in_words(gain: list[float] | None) -> str:
    if gain is None:
        return ""
    return f"   better than the last score by {gain[0]:+.4f} ({gain[1]:+.4f} to {gain[2]:+.4f})"


def measure(course: Course) -> dict:
    """Return the Brier score of every model on the sittings asked for, and its gain over the last score by lifetime."""
    life = course.live()
    log = practice_of(life, course.score, attempts="both", pass_mark=course.passes)
    log = log.rows(log.skill[:, 0] < course.tasks)
    last, asked = last_score(life, log, course)
    validations = {name: cross_validate(MODELS[name](), log) for name in TRACERS}
    fold = validations[PRIMARY].fold[log.student]
    predictions = {"last score": calibrated(last, asked, log, fold)}
    predictions |= {name: one.p for name, one in validations.items()}
    brier = {name: by_lifetime((p - log.outcome) ** 2, asked, log) for name, p in predictions.items()}
    models: dict[str, dict] = {name: {"brier": float(values.mean())} for name, values in brier.items()}
    for name in TRACERS:
        gain = mean_interval(brier["last score"] - brier[name])
        models[name]["gain"] = [float(np.mean(brier["last score"] - brier[name])), gain.low, gain.high]
    mean, low, high = models[PRIMARY]["gain"]
    verdict = "supported" if low > 0 and mean >= LEAST else "refuted" if high < LEAST else "inconclusive"
    return {
        "asked": int(asked.sum()),
        "passed": float(log.outcome[asked].mean()),
        "models": models,
        "verdict": verdict,
        "seeds": course.lifetimes,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def last_score(life: Life, log: PracticeLog, course: Course) -> tuple[np.ndarray, np.ndarray]:
    """Return for every row the score in the last exam of its task, and which sittings are asked for."""
    score, taught = life.exams[course.score], life.records["taught"]
    exam = np.array(["exam" in name for name in log.items])[log.item]
    sat = np.searchsorted(life.exam_steps, np.round(log.time / 3600).astype(int))
    task, before = log.skill[:, 0], np.maximum(sat - 1, 0)
    last = score[log.student, before, task]
    between = [taught[:, low:high] for low, high in pairwise(life.exam_steps.tolist())]
    met = np.stack([(lessons[..., None] == np.arange(course.tasks)).any(1) for lessons in between], axis=1)
    return last, exam & (sat >= 1) & ~met[log.student, before, task]


def calibrated(last: np.ndarray, asked: np.ndarray, log: PracticeLog, fold: np.ndarray) -> np.ndarray:
    """Return the baseline's predictions of the rows asked for, each from a fit to the other folds."""
    features = np.column_stack([last, log.skill == np.arange(len(log.skills))])
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
