"""Fit pyBKT, in an environment of its own: python benchmarks/peer_pybkt.py LOG.csv STARTS. Prints one line of JSON.

The log has the columns order_id, user_id, skill_name and correct, which are pyBKT's own names. Every skill is fitted from
so many random starts, as `Model` does it by default: in parallel processes.
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
import pandas as pd
from pyBKT.models import Model


def main(path: str, starts: int) -> None:
    log = pd.read_csv(path)
    model = Model(seed=0, num_fits=starts)
    start = time.perf_counter()
    model.fit(data=log)
    seconds = time.perf_counter() - start
    predicted = model.predict(data=log).sort_values("order_id")["correct_predictions"].to_numpy()
    report = {
        "seconds": seconds,
        "predictions": np.round(predicted, 6).tolist(),
        "versions": {name: version(name) for name in ("pyBKT", "numpy", "scikit-learn")},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
