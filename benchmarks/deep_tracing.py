"""An epoch of deep knowledge tracing, with plain PyTorch and with lifelong, on a real log and on a simulated one.

    python benchmarks/deep_tracing.py [--log lkt|simulated|psi-kt] [--json]

Both learn the same histories with the same widths, batches and optimizer, for five folds of students. PyTorch learns the
folds one after the other, so the seconds of one are multiplied, with the number of threads that suits it best; lifelong's
folds are lanes. An epoch includes predicting the students who are kept apart to stop by. The limit is what the matrix
products alone take, without any padding, on all cores at once (limit_dkt.py). `psi-kt` has no peer: it is PSI-KT fitted to
LKT with sixteen seeds, until it stops by itself (own_psi_kt.py). The environment of PyTorch comes from install_peers.sh;
results/deep_tracing.json keeps the last run of each log.
"""

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from continual import Report, describe_machine, finish, launch, usable_cores
from rich.console import Console
from rich.table import Table

from lifelong.worlds import practice_log

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / ".peers" / "torch" / "bin" / "python"
RESULTS = HERE / "results" / "deep_tracing.json"
LOGS = {"lkt": {"epochs": 20}, "simulated": {"epochs": 1}}
SEEDS = 16
ROUNDS = 3
"""Both sides take turns: the machine's own speed varies by more than what is to be seen."""

SETTINGS = {"folds": 5, "width": 64, "batch": 32, "learning_rate": 5e-3, "longest": 200}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", action="append", choices=[*LOGS, "psi-kt"], help="all unless given")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if not PEER.exists():
        print(f"PyTorch is not installed in {PEER.parent.parent}: run benchmarks/install_peers.sh", file=sys.stderr)
        return 2
    names = options.log or [*LOGS, "psi-kt"]
    results = {name: seeds() if name == "psi-kt" else measure(name) for name in names}
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(kept | results, indent=1) + "\n")
    if options.json:
        print(json.dumps(results, indent=1))
        return 0
    if alone := results.pop("psi-kt", None):
        print(f"PSI-KT on LKT, {alone['seeds']} seeds: {alone['cold']:.0f} s, and {alone['warm']:.0f} s again")
    if results:
        Console(width=120).print(table(results))
    return 0


def measure(name: str) -> Report:
    """Run both sides in fresh processes, one after the other, round after round, and keep the best of each."""
    settings = SETTINGS | LOGS[name]
    columns = real() if name == "lkt" else simulated(10_000, 200, 36)
    attempts = len(columns["outcome"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.npz"
        np.savez(file, **columns)
        rounds = [one_round([str(file), json.dumps(settings)]) for _ in range(ROUNDS)]
    (limit,) = finish([launch([sys.executable, str(HERE / "limit_dkt.py"), json.dumps(settings), str(attempts)])])
    peer = min((report for one in rounds for report in one["pytorch"]), key=lambda report: report["epoch"])
    peer["folds"] = peer["epoch"] * settings["folds"]
    own = best([one["lifelong"] for one in rounds], settings["epochs"])
    return {
        "attempts": attempts,
        "students": len(np.unique(columns["student"])),
        "settings": settings,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "rounds": ROUNDS,
        "pytorch": peer,
        "lifelong": own,
        "limit": limit,
        "ratio": peer["folds"] / own["epoch"],
    }


def one_round(given: list[str]) -> Report:
    """Return what PyTorch takes, by threads, and what lifelong takes."""
    peer, own = [str(PEER), str(HERE / "peer_dkt.py"), *given], [sys.executable, str(HERE / "own_dkt.py"), *given]
    threads = range(1, usable_cores() + 1)
    return {
        "pytorch": [finish([launch([*peer, str(count)])])[0] for count in threads],
        "lifelong": finish([launch(own)])[0],
    }


def best(reports: list[Report], epochs: int) -> Report:
    """Return the shortest fits of several runs, and the seconds of an epoch that follow from them."""
    least = {fit: min(report[fit] for report in reports) for fit in ("first", "one", "more")}
    return least | {"epoch": (least["more"] - least["one"]) / epochs, "auc": reports[0]["auc"]}


def seeds() -> Report:
    (report,) = finish([launch([sys.executable, str(HERE / "own_psi_kt.py"), str(SEEDS)])])
    return report | {"machine": describe_machine(), "date": datetime.now(UTC).isoformat(timespec="seconds")}


def real() -> dict[str, np.ndarray]:
    log = practice_log("lkt")
    log = log.rows(log.graded)
    return {"student": log.student, "skill": log.skill[:, 0], "outcome": log.outcome.astype(np.int64)}


def simulated(students: int, attempts: int, skills: int) -> dict[str, np.ndarray]:
    """Return students of different ability who get better at each skill they practise."""
    random = np.random.default_rng(0)
    skill = random.integers(0, skills, (students, attempts))
    tried, outcome = np.zeros((students, skills)), np.zeros((students, attempts), np.int64)
    ability, everyone = random.normal(0, 1, students), np.arange(students)
    hard = random.normal(0, 1, skills)
    for place in range(attempts):
        now = skill[:, place]
        odds = ability - hard[now] + 0.5 * np.log1p(tried[everyone, now]) - 0.5
        outcome[:, place] = random.random(students) < 1 / (1 + np.exp(-odds))
        tried[everyone, now] += 1
    return {"student": np.repeat(everyone, attempts), "skill": skill.ravel(), "outcome": outcome.ravel()}


def table(results: dict[str, Report]) -> Table:
    shown = Table(title="DKT, one epoch of five folds", title_justify="left")
    columns = ("log", "attempts", "PyTorch, s", "lifelong, s", "limit, s", "PyTorch ÷ lifelong", "first, s", "AUC")
    for place, column in enumerate(columns):
        shown.add_column(column, justify="right" if place else "left")
    for name, one in results.items():
        peer, own, limit = one["pytorch"], one["lifelong"], one["limit"]["seconds"]
        shown.add_row(name, f"{one['attempts']:,}", f"{peer['folds']:.2f} ({peer['threads']} threads)", f"{own['epoch']:.2f}",
            f"{limit:.2f}", f"{one['ratio']:.2f}", f"{own['first']:.1f}", f"{peer['auc']:.3f}, {own['auc']:.3f}")  # fmt: skip
    return shown


if __name__ == "__main__":
    sys.exit(main())
