"""Fit lifelong's BKT in a fresh process: python benchmarks/own_bkt.py LOG.csv STARTS. Prints one line of JSON.

`seconds` are those of the first fit, compilation included, `warm` those of further ones, each from new random starts. No
compiled program is kept between processes.
"""

import json
import sys
import time

import jax
import numpy as np

from lifelong.exams.tracing import BKT
from lifelong.worlds import practice_log

WARM = 5


def main(path: str, starts: int) -> None:
    log = practice_log(path)
    seconds, models = [], []
    for seed in range(1 + WARM):
        start = time.perf_counter()
        models.append(BKT(restarts=starts, guess_at_most=1.0, slip_at_most=1.0, pseudo=0.0, tolerance=1e-3))
        model = models[-1]
        model.parameters = jax.block_until_ready(
            model.learn(log, np.ones((1, len(log.students)), np.float32), seed=seed)
        )
        seconds.append(time.perf_counter() - start)
    parameters = jax.tree.map(lambda leaf: leaf[0], models[0].parameters)
    predicted = models[0].answer(parameters, log)[np.argsort(log.row)]
    print(json.dumps({"seconds": seconds[0], "warm": seconds[1:], "predictions": np.round(predicted, 6).tolist()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
