"""One class-incremental life with replay, lived with Avalanche and with lifelong, one after the other.

    python benchmarks/continual.py [--world digits|fashion-mnist] [--seeds 16] [--json]

Both read the same arrays, learn the classes two by two for one epoch (SGD, a multilayer perceptron with two hidden
layers, a reservoir whose examples are learned beside every batch), and are examined on all tasks after each. README.md
says how to read the table; results/continual.json keeps the last run of each world.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from lifelong.exams import mean_interval
from lifelong.worlds import Dataset, dataset

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / ".peers" / "avalanche" / "bin" / "python"
RESULTS = HERE / "results" / "continual.json"
WORLDS = {"digits": {"width": 64, "batch": 16}, "fashion-mnist": {"width": 256, "batch": 64}}
Report = dict[str, Any]


def main() -> int:
    options = read_options()
    if not PEER.exists():
        print(f"Avalanche is not installed in {PEER.parent.parent}: run benchmarks/install_peers.sh", file=sys.stderr)
        return 2
    results = {name: measure(name, options.seeds) for name in options.world or WORLDS}
    keep(results)
    for result in results.values():
        if options.json or options.markdown:
            print(json.dumps(result, indent=1) if options.json else markdown(result))
        else:
            Console(width=150).print(table(result))
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", action="append", choices=WORLDS, help="both unless given")
    parser.add_argument(
        "--seeds", type=int, default=16, help="lives in the runs with many (2 or more; 16 unless given)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds must be at least 2, for an interval, and is {options.seeds}")
    return options


def measure(name: str, seeds: int) -> Report:
    """Run both sides, and the machine's own limit, each in fresh processes while nothing else runs."""
    data = dataset(name)
    life = settings(data, **WORLDS[name])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        np.savez(file, **{part: getattr(data, part) for part in ("x_train", "y_train", "x_test", "y_test")})
        avalanche = measure_avalanche(file, life, seeds)
        lifelong = {str(count): ours(file, life, count) for count in (1, seeds)}
    rates = machine(life, seeds)
    return {
        "world": name,
        "life": life,
        "seeds": seeds,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine() | rates,
        "gigaflops_a_life": sum(work for _, work in work_of(life)) / 1e9,
        "avalanche": avalanche,
        "lifelong": lifelong,
    }


def settings(data: Dataset, width: int, batch: int) -> Report:
    """Return the life in numbers; every task lasts as many steps as its longest epoch needs."""
    tasks, outputs = 5, len(data.classes)
    longest = np.bincount(data.y_train).reshape(tasks, -1).sum(1).max()
    return {
        "inputs": int(np.prod(data.shape)),
        "width": width,
        "outputs": outputs,
        "batch": batch,
        "buffer": 500,
        "learning_rate": 0.05,
        "tasks": tasks,
        "steps": -(-int(longest) // batch),
        "questions": len(data.y_test),
    }


def measure_avalanche(file: Path, life: Report, seeds: int) -> Report:
    """Live once with every number of threads, then many times with the fastest, and in processes side by side."""
    cores = usable_cores()
    once = [peers(file, life, [1], threads) for threads in range(1, cores + 1)]
    best = min(once, key=lambda report: report["life_seconds"])
    shares = [len(part) for part in np.array_split(range(seeds), min(cores, seeds))]
    return {"1": best, str(seeds): peers(file, life, [seeds], best["threads"]), "abreast": peers(file, life, shares, 1)}


def peers(file: Path, life: Report, shares: list[int], threads: int) -> Report:
    """Live with Avalanche in one process for each share of the seeds, all at once."""
    script = [str(PEER), str(HERE / "peer_avalanche.py"), str(file), json.dumps(life)]
    start = time.time()
    reports = finish([launch([*script, str(first), str(count), str(threads)]) for first, count in spans(shares)])
    return {
        "processes": len(shares),
        "threads": threads,
        "whole_seconds": max(report["done"] for report in reports) - start,
        "start_seconds": max(report["ready"] for report in reports) - start,
        "life_seconds": max(report["done"] - report["ready"] for report in reports) / sum(shares),
        "training_seconds": float(np.mean([seconds for report in reports for seconds in report["training"]])),
        "accuracy": [accuracy for report in reports for accuracy in report["accuracy"]],
        "versions": reports[0]["versions"],
    }


def spans(shares: list[int]) -> list[tuple[int, int]]:
    """Return the first seed of each share, and how many."""
    return [(sum(shares[:i]), count) for i, count in enumerate(shares)]


def ours(file: Path, life: Report, seeds: int) -> Report:
    """Live with lifelong, cold and warm."""
    start = time.time()
    script = [sys.executable, str(HERE / "own_life.py"), str(file), json.dumps(life), str(seeds)]
    (report,) = finish([launch(script)])
    return {
        "whole_seconds": report["done"] - start,
        "start_seconds": report["ready"] - start,
        "warm_seconds": report["warm"],
        "life_seconds": float(np.median(report["warm"])) / seeds,
        "accuracy": report["accuracy"],
        "versions": report["versions"],
    }


def machine(life: Report, seeds: int) -> Report:
    """Return how fast this machine multiplies, and how long the products of a life take it at best, in seconds a seed."""
    work = work_of(life)
    examples = 2 * life["batch"]
    shapes = [[seeds, examples, *shape] for shape, _ in work]
    (rates,) = finish([launch([sys.executable, str(HERE / "machine.py"), json.dumps(shapes)])])
    return {
        "gigaflops": rates["large"],
        "gigaflops_batched": rates["batched"],
        "limit_seconds": sum(flops for _, flops in work) / rates["large"] / 1e9,
        "limit_seconds_batched": sum(w / r for (_, w), r in zip(work, rates["batched"], strict=True)) / 1e9,
    }


def work_of(life: Report) -> list[tuple[list[int], float]]:
    """Return (inputs, outputs) of each layer, and the floating-point operations of all its products in a life.

    A product takes 2·examples·inputs·outputs. Learning has three of them, forward and backward, but none towards the
    inputs of the first layer; an exam, sat before the first task and after each, has one.
    """
    sizes = [life["inputs"], life["width"], life["width"], life["outputs"]]
    learned = life["tasks"] * life["steps"] * 2 * life["batch"]
    examined = (life["tasks"] + 1) * life["questions"]
    products = [2, 3, 3]
    layers = zip(pairwise(sizes), products, strict=True)
    return [([i, o], 2.0 * i * o * (times * learned + examined)) for (i, o), times in layers]


def launch(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(processes: list[subprocess.Popen]) -> list[Report]:
    """Return the line of JSON that each process ends with; stop where one fails."""
    outputs = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        if process.returncode:
            raise SystemExit(f"{process.args}\n{errors}")
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


def describe_machine() -> Report:
    processor = Path("/proc/cpuinfo")
    names = [line.split(": ")[-1] for line in processor.read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": usable_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "versions": {name: version(name) for name in ("jax", "jaxlib", "numpy")},
    }


def usable_cores() -> int:
    return len(os.sched_getaffinity(0))


def keep(results: dict[str, Report]) -> None:
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(kept | results, indent=1) + "\n")


COLUMNS = ("", "seeds", "seconds in all", "ms a seed", "Avalanche ÷ this", "this ÷ limit", "accuracy, 95 %")


def table(result: Report) -> Table:
    shown = Table(title="\n".join(title(result)), title_justify="left")
    for place, column in enumerate(COLUMNS):
        shown.add_column(column, justify="right" if place else "left")
    for row in rows(result):
        shown.add_row(*row)
    return shown


def markdown(result: Report) -> str:
    lines = [COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *rows(result)]
    return "\n\n".join([". ".join(title(result)) + ".", "\n".join(f"| {' | '.join(line)} |" for line in lines)])


def title(result: Report) -> tuple[str, str]:
    life, machine = result["life"], result["machine"]
    shape = "-".join(str(life[size]) for size in ("inputs", "width", "width", "outputs"))
    return (
        f"{result['world']}: perceptron {shape}, {life['tasks']} tasks of {life['steps']} steps, "
        f"batch {life['batch']} + {life['batch']} of {life['buffer']}",
        f"{machine['processor']}, {machine['cores']} cores; {result['gigaflops_a_life']:.2f} GFLOP a life",
    )


def rows(result: Report) -> list[tuple[str, ...]]:
    """Return the lines of the table: whole processes, lives alone, and the limit."""
    many, limit = str(result["seeds"]), result["machine"]["limit_seconds"]
    peer, own = result["avalanche"], result["lifelong"]
    lines = []
    for count in ("1", many):
        lines += [
            row(f"Avalanche, whole process, {peer['1']['threads']} threads", count, peer[count], "whole", peer, limit),
            row("lifelong, whole process (cold)", count, own[count], "whole", peer, limit),
            row("Avalanche, life alone", count, peer[count], "life", peer, limit),
            row("lifelong, life alone (warm)", count, own[count], "life", peer, limit),
        ]
    abreast = f"Avalanche, {peer['abreast']['processes']} processes abreast"
    lines.append(row(f"{abreast}, whole", many, peer["abreast"], "whole", peer, limit))
    lines.append(row(f"{abreast}, lives alone", many, peer["abreast"], "life", peer, limit))
    for what, rate in (("large", ""), ("batched as here", "_batched")):
        seconds = result["machine"][f"limit_seconds{rate}"]
        lines.append(
            (f"limit: matrix products, {what}", many, f"{seconds * int(many):.3f}", f"{seconds * 1e3:.2f}", *[""] * 3)
        )
    return lines


def row(label: str, count: str, run: Report, kind: str, peer: Report, limit: float) -> tuple[str, ...]:
    """Return one line; whole processes are compared with Avalanche's of as many seeds, and so are lives alone."""
    per_seed = seconds_a_seed(run, kind, int(count))
    ratio = seconds_a_seed(peer[count], kind, int(count)) / per_seed
    return (
        label,
        count,
        f"{per_seed * int(count):.3f}",
        f"{per_seed * 1e3:.2f}",
        f"{ratio:.2f}",
        f"{per_seed / limit:.2f}",
        interval(run["accuracy"]),
    )


def seconds_a_seed(run: Report, kind: str, seeds: int) -> float:
    return run["whole_seconds"] / seeds if kind == "whole" else run["life_seconds"]


def interval(accuracy: list[float]) -> str:
    if len(accuracy) < 2:
        return f"{accuracy[0]:.3f}"
    bounds = mean_interval(accuracy)
    return f"{np.mean(accuracy):.3f} [{bounds.low:.3f}, {bounds.high:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
