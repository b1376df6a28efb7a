"""Time epochs of lifelong's DKT in a fresh process: python benchmarks/own_dkt.py LOG.npz SETTINGS. Prints one line of JSON.

`first` are the seconds of a fit of one epoch of all folds, compilation included, `one` those of the same again, and `more`
those of a fit of so many epochs more; students kept apart are predicted after every epoch.
"""

import json
import sys
import time

import numpy as np

from lifelong.exams.tracing import DKT, auc, lane_of
from lifelong.worlds import PracticeLog


def main(path: str, settings: dict) -> None:
    with np.load(path) as file:
        log = PracticeLog.of(file["student"], file["skill"], file["outcome"])
    folds, epochs = settings["folds"], settings["epochs"]
    fold = np.arange(len(log.students)) % folds
    weights = np.stack([fold != f for f in range(folds)]).astype(np.float32)

    def fit(count: int) -> tuple[float, object]:
        model = DKT(settings["width"], count, settings["batch"], settings["learning_rate"], count, settings["longest"])
        start = time.perf_counter()
        lanes = model.learn(log, weights, seed=0)
        return time.perf_counter() - start, (model, lanes)

    first, _ = fit(1)
    one, _ = fit(1)
    more, (model, lanes) = fit(1 + epochs)
    held = log.only(fold == 0)
    p = model.answer(lane_of(lanes, 0), held)
    marks = auc(p[held.graded], held.outcome[held.graded].astype(float))
    print(json.dumps({"first": first, "one": one, "more": more, "auc": marks}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
