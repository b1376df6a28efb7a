"""Teachers in the hypercube space of teachDeepRL, with its authors' code and with lifelong, one after the other.

    python benchmarks/teachers.py [--teacher alp-gmm|covar-gmm|riac|uniform] [--episodes 20000] [--seeds 16] [--json]

10×10 cells that are full at 100; a cell counts as mastered above 75. The authors' code lives one seed, in one process on one
core, and its seconds count for each further seed; lifelong lives all seeds at once. The environment of the authors' code comes
from install_peers.sh. results/teachers.json keeps the last run of each teacher.
"""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from continual import Report, describe_machine, finish, launch
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / ".peers" / "teachdeeprl" / "bin" / "python"
RESULTS = HERE / "results" / "teachers.json"
TEACHERS = ("alp-gmm", "covar-gmm", "riac", "uniform")


def main() -> int:
    options = read_options()
    if not PEER.exists():
        print(f"teachDeepRL is not installed in {PEER.parent.parent}: run benchmarks/install_peers.sh", file=sys.stderr)
        return 2
    results = {name: measure(name, options) for name in options.teacher or ("alp-gmm",)}
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | results, indent=1) + "\n")
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        Console(width=120).print(table(results))
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", action="append", choices=TEACHERS, help="alp-gmm unless given")
    parser.add_argument("--episodes", type=int, default=20_000, help="episodes of a life (20000 unless given)")
    parser.add_argument("--seeds", type=int, default=16, help="seeds that lifelong lives at once (16 unless given)")
    parser.add_argument("--peer-seeds", type=int, default=1, help="seeds of the authors' code (1 unless given)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def measure(teacher: str, options: argparse.Namespace) -> Report:
    """Run both sides in fresh processes while nothing else runs."""
    os.environ |= {"MPLBACKEND": "agg", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    episodes, runs = str(options.episodes), range(options.peer_seeds)
    script = str(HERE / "peer_teachdeeprl.py")
    peers = [finish([launch([str(PEER), script, teacher, episodes, str(seed)])])[0] for seed in runs]
    own = [sys.executable, str(HERE / "own_teachers.py"), teacher, episodes, str(options.seeds)]
    return {
        "episodes": options.episodes,
        "seeds": options.seeds,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "teachdeeprl": peers,
        "lifelong": finish([launch(own)])[0],
    }


def table(results: dict[str, Report]) -> Table:
    shown = Table()
    columns = ("teacher", "", "seeds", "seconds", "seconds a seed", "times as fast", "mastered %", "ask / tell µs")
    for place, column in enumerate(columns):
        shown.add_column(column, justify="right" if place > 1 else "left")
    for teacher, result in results.items():
        for row in rows(teacher, result):
            shown.add_row(*row)
    return shown


def rows(teacher: str, result: Report) -> list[tuple[str, ...]]:
    peers, own, seeds = result["teachdeeprl"], result["lifelong"], result["seeds"]
    theirs = float(np.mean([peer["seconds"] for peer in peers]))
    calls = own["microseconds_a_call"]
    ends = f"{np.mean([peer['mastered'][-1] for peer in peers]):.1f}"
    lines = [(teacher, "teachDeepRL", str(len(peers)), f"{theirs:.1f}", f"{theirs:.2f}", "1", ends, "")]
    for kind in ("cold", "warm"):
        each = own[kind] / seeds
        overhead = f"{calls['ask']:.0f} / {calls['tell']:.0f}"
        ours = (f"{own[kind]:.1f}", f"{each:.2f}", f"{theirs / each:.0f}", f"{np.mean(own['mastered']):.1f}", overhead)
        lines.append((teacher, f"lifelong, {kind}", str(seeds), *ours))
    return lines


if __name__ == "__main__":
    sys.exit(main())
