"""Bayesian knowledge tracing of one practice log, fitted with pyBKT and with lifelong, one after the other.

    python benchmarks/tracing.py [--starts 20] [--log lkt|FILE] [--json]

Both fit prior, learn, guess and slip of every skill by expectation maximisation to the same graded attempts, without
bounds, until a step gains less than 0.001 nats. pyBKT is given one start for each skill, and compared per start; its own
environment comes from install_peers.sh. AUC is of one-step predictions of the attempts fitted. results/tracing.json keeps
the last run.
"""

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from continual import Report, describe_machine, finish, launch
from rich.console import Console
from rich.table import Table

from lifelong.exams.tracing import marks_of
from lifelong.worlds import PracticeLog, practice_log

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / ".peers" / "pybkt" / "bin" / "python"
RESULTS = HERE / "results" / "tracing.json"


def main() -> int:
    options = read_options()
    if not PEER.exists():
        print(f"pyBKT is not installed in {PEER.parent.parent}: run benchmarks/install_peers.sh", file=sys.stderr)
        return 2
    log = practice_log(options.log)
    log = log.rows(log.graded)
    result = measure(log, options.starts)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        Console(width=120).print(table(result))
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", default="lkt", help="a practice log (lkt unless given)")
    parser.add_argument("--starts", type=int, default=20, help="starts of every skill with lifelong (20 unless given)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def measure(log: PracticeLog, starts: int) -> Report:
    """Run both sides in fresh processes while nothing else runs."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.csv"
        write(log, file)
        (peer,) = finish([launch([str(PEER), str(HERE / "peer_pybkt.py"), str(file), "1"])])
        own = {
            n: finish([launch([sys.executable, str(HERE / "own_bkt.py"), str(file), str(n)])])[0] for n in (1, starts)
        }
    outcome = log.outcome.astype(float)
    reports = {"pybkt": peer, "lifelong": own[1], "lifelong, many starts": own[starts]}
    for report in reports.values():
        marks = marks_of(np.array(report.pop("predictions")), outcome)
        report |= {"auc": marks.auc, "log_likelihood": marks.log_likelihood}
    return {
        "log": log.name,
        "attempts": len(log),
        "students": len(log.students),
        "skills": len(log.skills),
        "starts": starts,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        **reports,
    }


def write(log: PracticeLog, file: Path) -> None:
    """Write a log with one skill a row under the names that pyBKT expects, in the log's order."""
    lines = ["order_id,user_id,skill_name,correct"]
    columns = (log.student.tolist(), log.skill[:, 0].tolist(), log.outcome.tolist())
    lines += [f"{i},{s},skill {k},{y}" for i, (s, k, y) in enumerate(zip(*columns, strict=True))]
    file.write_text("\n".join(lines) + "\n")


def table(result: Report) -> Table:
    title = (
        f"{result['log']}: {result['attempts']:,} attempts, {result['students']} students, {result['skills']} skills"
    )
    shown = Table(
        title=f"{title}\n{result['machine']['processor']}, {result['machine']['cores']} cores", title_justify="left"
    )
    for place, column in enumerate(
        ("", "starts", "seconds", "seconds a start", "pyBKT ÷ this", "AUC", "log-likelihood")
    ):
        shown.add_column(column, justify="right" if place else "left")
    for row in rows(result):
        shown.add_row(*row)
    return shown


def rows(result: Report) -> list[tuple[str, ...]]:
    peer, one, many = result["pybkt"], result["lifelong"], result["lifelong, many starts"]
    runs = [
        ("pyBKT", 1, peer["seconds"], peer),
        ("lifelong, cold", 1, one["seconds"], one),
        ("lifelong, warm", 1, float(np.median(one["warm"])), one),
        ("lifelong, cold", result["starts"], many["seconds"], many),
        ("lifelong, warm", result["starts"], float(np.median(many["warm"])), many),
    ]
    return [
        (
            label,
            str(starts),
            f"{seconds:.2f}",
            f"{seconds / starts:.3f}",
            f"{peer['seconds'] / (seconds / starts):,.0f}",
            f"{report['auc']:.4f}",
            f"{report['log_likelihood']:.4f}",
        )
        for label, starts, seconds, report in runs
    ]


if __name__ == "__main__":
    sys.exit(main())
