"""Training and sampling of a small language model, with plain eager PyTorch and with lifelong.

    python benchmarks/language.py [--preset micro|mini|small] [--seeds 8] [--json]

Both train the same transformer on batches of random tokens (AdamW, clipped gradients) and write answers to random prompts
with a cache of keys and values. PyTorch has one model at a time, with the number of threads that suits it best, and is also
run in processes of one thread abreast; lifelong's seeds are lanes of one life. Both take turns, three times, and the best of
each counts. Tokens per second are of all models together; per second of a core they depend least on what else the machine
is doing.
The environment of PyTorch comes from install_peers.sh; results/language.json keeps the last run of each preset.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from continual import Report, describe_machine, finish, launch, usable_cores
from rich.console import Console
from rich.table import Table

from lifelong.nets import PRESETS

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / ".peers" / "torch" / "bin" / "python"
RESULTS = HERE / "results" / "language.json"
ROUNDS = 3
"""Both sides take turns: the machine's own speed varies by more than what is to be seen."""

SETTINGS = {"vocabulary": 64, "batch": 128, "length": 16, "prompt": 8, "new": 16, "seconds": 6}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", action="append", choices=PRESETS, help="micro unless given")
    parser.add_argument("--seeds", type=int, default=8, help="models in the run with many; 8 unless given")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if not PEER.exists():
        print(f"PyTorch is not installed in {PEER.parent.parent}: run benchmarks/install_peers.sh", file=sys.stderr)
        return 2
    results = {preset: measure(preset, options.seeds) for preset in options.preset or ["micro"]}
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(kept | results, indent=1) + "\n")
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        Console(width=120).print(*(table(name, result) for name, result in results.items()))
    return 0


def measure(preset: str, seeds: int) -> Report:
    """Run both sides in fresh processes, one after the other, round after round, and keep the best of each."""
    given = json.dumps(SETTINGS | {"model": PRESETS[preset]})
    rounds = [one_round(given, seeds) for _ in range(ROUNDS)]
    alone = [report for one in rounds for report in one["alone"]]
    abreast = [one["abreast"] for one in rounds]
    return {
        "settings": json.loads(given),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "rounds": ROUNDS,
        "pytorch": {
            what: {
                "alone": max(report[what]["wall"] for report in alone),
                "threads": max(alone, key=lambda report, what=what: report[what]["wall"])["threads"],
                "core": max(report[what]["core"] for report in [*alone, *(one for many in abreast for one in many)]),
                "abreast": max(sum(report[what]["wall"] for report in many) for many in abreast),
            }
            for what in ("train", "sample")
        },
        "torch": alone[0]["torch"],
        "lifelong": [best([one["lifelong"][place] for one in rounds]) for place in range(2)],
    }


def one_round(given: str, seeds: int) -> Report:
    """Return what PyTorch reaches alone, by threads, and in a process a core; and lifelong with one seed and with many."""
    peer, own = (
        [str(PEER), str(HERE / "peer_language.py"), given],
        [sys.executable, str(HERE / "own_language.py"), given],
    )
    return {
        "alone": [finish([launch([*peer, str(threads)])])[0] for threads in range(1, usable_cores() + 1)],
        "abreast": finish([launch([*peer, "1"]) for _ in range(usable_cores())]),
        "lifelong": [finish([launch([*own, str(count)])])[0] for count in (1, seeds)],
    }


def best(reports: list[Report]) -> Report:
    """Return the highest rates of several runs, and the shortest compiling."""
    rates = {
        what: {
            name: (min if name == "compiling" else max)(report[what][name] for report in reports)
            for name in ("wall", "core", "compiling")
        }
        for what in ("train", "sample")
    }
    return {"seeds": reports[0]["seeds"], "jax": reports[0]["jax"], **rates}


def table(preset: str, result: Report) -> Table:
    settings = result["settings"]
    title = f"{preset}: {settings['batch']} sequences, {settings['length']} tokens to learn, {settings['new']} to write"
    shown = Table(title=title, title_justify="left")
    for place, column in enumerate(
        ("", "models", "tokens a second", "÷ PyTorch", "÷ abreast", "a core-second", "÷ PyTorch", "compiling, s")
    ):
        shown.add_column(column, justify="right" if place else "left")
    for what, verb in (("train", "training"), ("sample", "sampling")):
        peer = result["pytorch"][what]
        shown.add_row(
            f"PyTorch, {verb}, {peer['threads']} threads",
            "1",
            f"{peer['alone']:,.0f}",
            "",
            "",
            f"{peer['core']:,.0f}",
            "",
            "",
        )
        shown.add_row(
            f"PyTorch, {verb}, a process a core", str(usable_cores()), f"{peer['abreast']:,.0f}", "", "", "", "", ""
        )
        for own in result["lifelong"]:
            rate, core = own[what]["wall"], own[what]["core"]
            ratios = f"{rate / peer['alone']:.2f}", f"{rate / peer['abreast']:.2f}"
            ratios += f"{core:,.0f}", f"{core / peer['core']:.2f}"
            seconds = f"{own[what]['compiling']:.1f}"
            shown.add_row(f"lifelong, {verb}", str(own["seeds"]), f"{rate:,.0f}", *ratios, seconds)
    return shown


if __name__ == "__main__":
    sys.exit(main())
