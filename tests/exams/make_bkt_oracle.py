"""What hmmlearn and pyBKT make of one small log: writes their part of bkt_oracle.json.

    python tests/exams/make_bkt_oracle.py hmmlearn     needs hmmlearn 0.3.3
    python tests/exams/make_bkt_oracle.py pybkt        needs pyBKT 1.4.3 'numpy<2' 'pandas<3' 'scikit-learn<1.6'

The two need environments of their own; the tests need neither.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "bkt_oracle.json"
TRUTH = {"prior": 0.3, "learn": 0.2, "forget": 0.0, "guess": 0.2, "slip": 0.1}
START = {"prior": 0.5, "learn": 0.3, "forget": 0.1, "guess": 0.3, "slip": 0.2}
STUDENTS, ATTEMPTS, STEPS = 120, 8, 30


def drawn() -> np.ndarray:
    """Return answers [students, attempts] of students who follow the chain."""
    random = np.random.default_rng(0)
    known, answers = random.random(STUDENTS) < TRUTH["prior"], np.empty((STUDENTS, ATTEMPTS), int)
    for t in range(ATTEMPTS):
        answers[:, t] = random.random(STUDENTS) < np.where(known, 1 - TRUTH["slip"], TRUTH["guess"])
        known |= random.random(STUDENTS) < TRUTH["learn"]
    return answers


def by_hmmlearn(answers: np.ndarray) -> dict:
    """Return likelihood and smoothed states at the start, and the chain after some steps of its EM."""
    from hmmlearn.hmm import CategoricalHMM

    def chain(steps: int) -> CategoricalHMM:
        model = CategoricalHMM(2, n_features=2, n_iter=steps, tol=-np.inf, init_params="", params="ste")
        prior, learn, forget, guess, slip = START.values()
        model.startprob_ = np.array([1 - prior, prior])
        model.transmat_ = np.array([[1 - learn, learn], [forget, 1 - forget]])
        model.emissionprob_ = np.array([[1 - guess, guess], [slip, 1 - slip]])
        return model

    rows, lengths = answers.reshape(-1, 1), [ATTEMPTS] * STUDENTS
    found = {"log_likelihood": chain(1).score(rows, lengths), "fits": {}}
    found["first_known"] = chain(1).predict_proba(rows, lengths)[::ATTEMPTS, 1].tolist()
    for steps in (1, STEPS):
        model = chain(steps).fit(rows, lengths)
        (_, learn), (forget, _) = model.transmat_
        (_, guess), (slip, _) = model.emissionprob_
        found["fits"][steps] = [float(v) for v in (model.startprob_[1], learn, forget, guess, slip)]
    return found | {"version": version("hmmlearn")}


def by_pybkt(answers: np.ndarray) -> dict:
    """Return the chain that its fit finds, and its predictions of every row."""
    import pandas as pd
    from pyBKT.models import Model

    log = pd.DataFrame(
        {
            "order_id": np.arange(answers.size),
            "user_id": np.repeat(np.arange(STUDENTS), ATTEMPTS),
            "skill_name": "k",
            "correct": answers.ravel(),
        }
    )
    model = Model(seed=0, num_fits=20, parallel=False)
    model.fit(data=log)
    found = model.params().reset_index().groupby("param")["value"].first()
    predicted = model.predict(data=log).sort_values("order_id")
    return {
        "chain": [float(found[name]) for name in ("prior", "learns", "forgets", "guesses", "slips")],
        "right": predicted["correct_predictions"].round(6).tolist(),
        "known": predicted["state_predictions"].round(6).tolist(),
        "version": version("pyBKT"),
    }


if __name__ == "__main__":
    who, answers = sys.argv[1], drawn()
    stored = json.loads(FILE.read_text()) if FILE.exists() else {}
    stored |= {"answers": answers.tolist(), "start": list(START.values()), "steps": STEPS}
    stored[who] = {"hmmlearn": by_hmmlearn, "pybkt": by_pybkt}[who](answers)
    FILE.write_text(json.dumps(stored) + "\n")
