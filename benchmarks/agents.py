"""Proximal policy optimization with Stable-Baselines3 and with lifelong: steps of training a second.

    python benchmarks/agents.py [--world CartPole-v1 | BipedalWalker-v3] [--seeds 16] [--json | --markdown]

Both train the same two perceptrons of 2 × 64 tanh with the same numbers: 8 bodies, 128 steps each, 4 epochs of batches of
256, Adam with a rate of 0.0003, no bonus for entropy. CartPole is the same on both sides; beside Gymnasium's BipedalWalker,
which is Box2D's, stands our Walker: as many joints and steps, but points and rods. Stable-Baselines3 trains one agent in a
process, with as many threads as are fastest, and one in a process for every core, all at once; lifelong trains one agent,
and all seeds at once, whose steps are counted together. Rates are of training alone, after what is compiled has been
compiled; README.md says more.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from continual import describe_machine, finish, interval, launch, usable_cores
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / ".peers" / "sb3" / "bin" / "python"
RESULTS = {
    "CartPole-v1": HERE / "results" / "agents.json",
    "BipedalWalker-v3": HERE / "results" / "walking_agents.json",
}
LIFE = {"bodies": 8, "steps": 128, "epochs": 4, "batch": 256, "width": 64, "rate": 3e-4, "rounds": 30}
INPUTS = {"CartPole-v1": 4, "BipedalWalker-v3": 25}
COLUMNS = ("", "agents", "steps a second, together", "÷ one Stable-Baselines3", "÷ limit", "return, 95 %")
Report = dict[str, Any]


def main() -> int:
    options = read_options()
    if not PEER.exists():
        print(
            f"Stable-Baselines3 is not installed in {PEER.parents[1]}: run benchmarks/install_peers.sh", file=sys.stderr
        )
        return 2
    result = measure(LIFE | {"world": options.world}, options.seeds)
    RESULTS[options.world].write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        print(json.dumps(result, indent=1))
    elif options.markdown:
        lines = [COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *rows(result)]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))
    else:
        Console(width=150).print(table(result))
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=int, default=16, help="agents trained side by side (2 or more; 16 unless given)"
    )
    parser.add_argument(
        "--world", choices=RESULTS, default="CartPole-v1", help="whose world (CartPole-v1 unless given)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds must be at least 2, for an interval, and is {options.seeds}")
    return options


def measure(life: Report, seeds: int) -> Report:
    """Run both sides and the machine's own limit, one after the other, each in processes of its own."""
    cores = usable_cores()
    alone = [peers(life, [1], threads) for threads in range(1, cores + 1)]
    return {
        "life": life,
        "seeds": seeds,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine() | {"limit": limit(life, seeds)},
        "sb3": {
            "alone": max(alone, key=lambda report: report["rate"]),
            "abreast": peers(life, list(range(2, 2 + cores)), 1),
        },
        "lifelong": {str(count): ours(life, count) for count in (1, seeds)},
    }


def peers(life: Report, seeds: list[int], threads: int) -> Report:
    """Train one agent in a process for each seed, all at once; their rates are added."""
    script = [str(PEER), str(HERE / "peer_sb3.py"), json.dumps(life)]
    reports = finish([launch([*script, str(seed), str(threads)]) for seed in seeds])
    return {
        "processes": len(seeds),
        "threads": threads,
        "rate": sum(report["rate"] for report in reports),
        "return": [report["return"] for report in reports],
        "versions": reports[0]["versions"],
    }


def ours(life: Report, seeds: int) -> Report:
    (report,) = finish([launch([sys.executable, str(HERE / "own_agents.py"), json.dumps(life), str(seeds)])])
    return report


def limit(life: Report, seeds: int) -> float:
    """Return the steps a second, all agents together, that the matrix products alone would allow at this batch's shapes."""
    sizes = [INPUTS[life["world"]], life["width"], life["width"], 1]
    shapes = [[seeds, life["batch"], *pair] for pair in pairwise(sizes)]
    (rates,) = finish([launch([sys.executable, str(HERE / "machine.py"), json.dumps(shapes)])])
    seconds = 0.0
    for place, (pair, rate) in enumerate(zip(pairwise(sizes), rates["batched"], strict=True)):
        products = 2 + life["epochs"] * (2 if place == 0 else 3)
        seconds += 2 * products * 2 * pair[0] * pair[1] / rate / 1e9
    return 1 / seconds


def table(result: Report) -> Table:
    machine = result["machine"]
    shown = Table(
        title=f"PPO on {result['life']['world']}; {machine['processor']}, {machine['cores']} cores",
        title_justify="left",
    )
    for place, column in enumerate(COLUMNS):
        shown.add_column(column, justify="right" if place else "left")
    for line in rows(result):
        shown.add_row(*line)
    return shown


def rows(result: Report) -> list[tuple[str, ...]]:
    sb3, own, most = result["sb3"], result["lifelong"], result["machine"]["limit"]
    one, many = sb3["alone"]["rate"], str(result["seeds"])
    abreast = sb3["abreast"]

    def row(label: str, count: Any, rate: float, returns: list[float] | None) -> tuple[str, ...]:
        found = interval(returns) if returns else ""
        return (label, str(count), f"{rate:,.0f}", f"{rate / one:.1f}", f"{rate / most:.3f}", found)

    return [
        row(f"Stable-Baselines3, {sb3['alone']['threads']} threads", 1, one, sb3["alone"]["return"]),
        row("Stable-Baselines3, a process a core", abreast["processes"], abreast["rate"], abreast["return"]),
        row("lifelong", 1, own["1"]["rate"], own["1"]["return"]),
        row("lifelong", many, own[many]["rate"], own[many]["return"]),
        row("limit: matrix products alone", many, most, None),
    ]


if __name__ == "__main__":
    sys.exit(main())
