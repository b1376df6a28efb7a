"""Meta-learning on sine waves (MAML, second order), with higher and with lifelong: steps of the outer optimizer a second.

    python benchmarks/meta.py [--seeds 16] [--json | --markdown]

Both learn the same perceptron 1-32-32-1 over episodes of ten shots and ten questions, sixteen a step, with five inner
steps of 0.01 and Adam at 0.001: the protocol of learn2learn's `examples/maml_sine.py`, cut to a thousand steps (a hundred
for the rate of higher, which takes one episode after the other). Episodes are drawn anew in every step. higher runs one
seed in a process, with as many threads as are fastest, and one in a process for every core, all at once; lifelong runs
one seed, and all at once. A cold rate counts compiling, with no program in any cache; the bytes that a step keeps are
printed by order and inner steps.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from continual import describe_machine, finish, interval, launch, usable_cores
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / ".peers" / "higher" / "bin" / "python"
RESULTS = HERE / "results" / "meta.json"
LIFE = {
    "tasks": 16,
    "shots": 10,
    "width": 32,
    "inner_steps": 5,
    "inner_rate": 0.01,
    "outer_rate": 1e-3,
    "steps": 1000,
}
PEER_STEPS = 100
COLUMNS = ("", "seeds", "steps a second, together", "÷ one higher, warm", "÷ one higher, cold", "error, 95 %")
Report = dict[str, Any]


def main() -> int:
    options = read_options()
    if not PEER.exists():
        print(f"higher is not installed in {PEER.parents[1]}: run benchmarks/install_peers.sh", file=sys.stderr)
        return 2
    result = measure(options.seeds)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        print(json.dumps(result, indent=1))
    elif options.markdown:
        lines = [COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *rows(result)]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))
    else:
        Console(width=150).print(table(result), memory(result), sep="\n")
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=16, help="seeds lived side by side (2 or more; 16 unless given)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds must be at least 2, for an interval, and is {options.seeds}")
    return options


def measure(seeds: int) -> Report:
    """Run both sides, one after the other, each in processes of its own."""
    cores = usable_cores()
    alone = [peers([1], PEER_STEPS, threads) for threads in range(1, cores + 1)]
    return {
        "life": LIFE,
        "seeds": seeds,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "higher": {
            "alone": max(alone, key=lambda report: report["rate"]),
            "abreast": peers(list(range(2, 2 + cores)), LIFE["steps"], 1),
        },
        "lifelong": {str(count): ours(count) for count in (1, seeds)},
        "bytes": ours(0),
    }


def peers(seeds: list[int], steps: int, threads: int) -> Report:
    """Meta-learn one seed in a process each, all at once; their rates are added."""
    script = [str(PEER), str(HERE / "peer_higher.py"), json.dumps(LIFE), str(steps)]
    reports = finish([launch([*script, str(seed), str(threads)]) for seed in seeds])
    return {
        "processes": len(seeds),
        "threads": threads,
        "rate": sum(report["rate"] for report in reports),
        "error": [report["error"] for report in reports],
        "versions": reports[0]["versions"],
    }


def ours(seeds: int) -> Report:
    (report,) = finish([launch([sys.executable, str(HERE / "own_meta.py"), json.dumps(LIFE), str(seeds)])])
    return report


def table(result: Report) -> Table:
    machine = result["machine"]
    shown = Table(title=f"MAML on sine waves; {machine['processor']}, {machine['cores']} cores", title_justify="left")
    for place, column in enumerate(COLUMNS):
        shown.add_column(column, justify="right" if place else "left")
    for line in rows(result):
        shown.add_row(*line)
    return shown


def rows(result: Report) -> list[tuple[str, ...]]:
    higher, own, many = result["higher"], result["lifelong"], str(result["seeds"])
    alone, abreast = higher["alone"], higher["abreast"]
    one = alone["rate"]

    def row(label: str, count: Any, rate: float, cold: float | None, error: str) -> tuple[str, ...]:
        return (
            label,
            str(count),
            f"{rate:,.1f}",
            f"{rate / one:.1f}",
            "" if cold is None else f"{cold / one:.1f}",
            error,
        )

    return [
        row(
            f"higher, {alone['threads']} threads", 1, one, None, f"after {PEER_STEPS} steps {interval(alone['error'])}"
        ),
        row("higher, a process a core", abreast["processes"], abreast["rate"], None, interval(abreast["error"])),
        row("lifelong", 1, own["1"]["rate"], own["1"]["cold_rate"], interval(own["1"]["error"])),
        row("lifelong", many, own[many]["rate"], own[many]["cold_rate"], interval(own[many]["error"])),
    ]


def memory(result: Report) -> str:
    """Return one line for each order: the bytes that the gradient of one step keeps, for one seed."""
    lines = []
    for order, found in result["bytes"].items():
        sizes = ", ".join(f"{steps} inner steps {size / 1024:,.0f} KiB" for steps, size in found.items())
        lines.append(f"intermediate results of a step, {order}: {sizes}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
