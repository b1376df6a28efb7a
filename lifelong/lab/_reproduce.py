"""Living anchors: rows of published numbers, seed by seed, kept as they are lived."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lifelong.errors import BadInput
from lifelong.life import Life, Progress, fingerprint, live, write_atomically
from lifelong.worlds import Dataset, dataset, omniglot

from ._agent_protocols import AgentProtocol, agent_protocol, recent_returns
from ._anchors import EPISODES, WORLDS, Anchor, Measured, results_file, stored
from ._clock import clocked
from ._episode_protocols import EpisodeProtocol, episode_protocol, solved
from ._protocols import Protocol, protocol
from ._runner import Interrupted
from ._store import code_fingerprint

RECORD = 100
"""Steps between the records of learning that a checkpoint carries along."""

Plan = Protocol | AgentProtocol | EpisodeProtocol

Data = Dataset | np.ndarray | None
"""Digits, drawings of characters, or nothing at all: what rows are lived on."""


def data_for(anchor: Anchor) -> Data:
    """Return what a row is lived on; raise `BadFile` where it is not at hand."""
    if anchor.data == "omniglot":
        return np.concatenate([omniglot("background"), omniglot("evaluation")])
    return None if anchor.data is None else dataset(anchor.data)


def reproduce(
    anchor: Anchor,
    data: Data,
    seeds: Sequence[int],
    out: Path | None = None,
    *,
    force: bool = False,
    progress: Progress,
) -> Measured:
    """Live the seeds of a row that are not stored yet, store them, and return all that are.

    Rows of the very same protocol share their lives. What was stored under another protocol, or is to be forgotten with
    `force`, gives way. Ctrl-C saves the unfinished lives and raises `Interrupted`; the same call goes on from there.
    Raises `BadFile` where results cannot be read or written.
    """
    path = results_file(out)
    plan = _plan(anchor, data)
    lived_by = fingerprint(plan)
    known = None if force else _lived(stored(path), anchor.name, lived_by)
    missing = [seed for seed in seeds if known is None or seed not in known.accuracy]
    if not missing and known:
        return _keep(path, anchor.name, known)
    life_of = f"{anchor.name.replace('/', '.')}.{fingerprint(lived_by, missing)}"
    checkpoint = path.parent / "unfinished" / f"{life_of}.safetensors"
    with clocked(checkpoint.with_suffix(".seconds.json")) as clock:
        life = _live(plan, missing, checkpoint, progress)
    about = _provenance(lived_by, plan.steps, clock.compiling, clock.total - clock.compiling)
    row = _keep(path, anchor.name, _joined(known, Measured(accuracy=_by_seed(anchor, missing, life), about=about)))
    checkpoint.unlink(missing_ok=True)
    return row


def _lived(rows: Mapping[str, Measured], name: str, lived_by: str) -> Measured | None:
    """Return what is stored of a row, or of one that is lived alike."""
    alike = [row for row in (rows.get(name), *rows.values()) if row and row.about.get("protocol") == lived_by]
    return alike[0] if alike else None


def _plan(anchor: Anchor, data: Any, part: float = 1.0) -> Plan:
    """Return what is lived; only rows of agents need no data."""
    if anchor.scenario in WORLDS:
        return agent_protocol(anchor, part)
    if data is None:
        raise BadInput(f"{anchor.name} is lived on {anchor.data}, and nothing was given; take data_for(anchor)")
    return (episode_protocol if anchor.scenario in EPISODES else protocol)(anchor, data, part)


def rehearse(anchor: Anchor, data: Data, seeds: Sequence[int], *, progress: Progress) -> Measured:
    """Live a tenth of a row, on a tenth of the digits, or a thousandth of one of episodes: whether it runs, not what it finds.

    Nothing is stored.
    """
    if isinstance(data, Dataset):
        data = data.take(per_class=int(np.bincount(data.y_train).min()) // 10)
    plan = _plan(anchor, data, part=0.001 if anchor.scenario in EPISODES else 0.1)
    return Measured(accuracy=_by_seed(anchor, seeds, _live(plan, seeds, None, progress)), about={})


def _live(plan: Plan, seeds: Sequence[int], checkpoint: Path | None, progress: Progress) -> Life:
    life = live(
        plan.learner,
        plan.world,
        plan.teacher,
        plan.exam if isinstance(plan, EpisodeProtocol) else None,
        steps=plan.steps,
        seeds=seeds,
        at_ends=False,
        record=RECORD,
        checkpoint=checkpoint,
        save_every=120.0,
        progress=progress,
    )
    if not life.finished:
        raise Interrupted
    return life


def _by_seed(anchor: Anchor, seeds: Sequence[int], life: Life) -> dict[int, float | None]:
    found = [round(float(value), 3) for value in _values(anchor, life)]
    diverged = (life.diverged_at >= 0).tolist()
    return {seed: None if bad else value for seed, value, bad in zip(seeds, found, diverged, strict=True)}


def _values(anchor: Anchor, life: Life) -> np.ndarray:
    if anchor.scenario in WORLDS:
        return recent_returns(life)
    return solved(life) if anchor.scenario in EPISODES else 100.0 * life.final


def _provenance(protocol: str, steps: int, compiling: float, running: float) -> dict[str, Any]:
    return {
        "protocol": protocol,
        "steps": steps,
        "compile_seconds": round(compiling, 1),
        "run_seconds": round(running, 1),
        "lifelong": version("lifelong"),
        "code": code_fingerprint(),
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _joined(known: Measured | None, new: Measured) -> Measured:
    """Return old and new seeds together, with the provenance of the new and the seconds of both."""
    if known is None:
        return new
    seconds = {name: round(known.about[name] + new.about[name], 1) for name in ("compile_seconds", "run_seconds")}
    accuracy = dict(sorted({**known.accuracy, **new.accuracy}.items()))
    return Measured(accuracy=accuracy, about={**new.about, **seconds})


def _keep(path: Path, name: str, row: Measured) -> Measured:
    """Store a row beside those of the file."""
    rows = stored(path) | {name: row}
    plain = {key: {"accuracy": one.accuracy, **one.about} for key, one in sorted(rows.items())}
    write_atomically(path, (json.dumps(plain, indent=1) + "\n").encode())
    return row
