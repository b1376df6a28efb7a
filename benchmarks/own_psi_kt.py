"""Time PSI-KT with many seeds on the LKT log in a fresh process: python benchmarks/own_psi_kt.py SEEDS. Prints JSON.

`cold` are the seconds of the first fit, from the start of Python on, reading and compiling included; `warm` those of the
same fit again. Nothing is left out: all students, and as many epochs as the students who are kept apart ask for.
"""

import json
import sys
import time

START = time.perf_counter()

import numpy as np  # noqa: E402

from lifelong.exams.tracing import PSIKT, fit_seeds  # noqa: E402
from lifelong.worlds import practice_log  # noqa: E402


def main(seeds: int) -> None:
    log = practice_log("lkt")
    weights = np.ones((seeds, len(log.students)), np.float32)
    ends = [START]
    for _ in range(2):
        fit_seeds(PSIKT(), log, weights, range(seeds))
        ends.append(time.perf_counter())
        print(f"fitted after {ends[-1] - START:.0f} s", file=sys.stderr, flush=True)
    cold, warm = np.diff(ends)
    print(json.dumps({"seeds": seeds, "attempts": len(log), "cold": cold, "warm": warm}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
