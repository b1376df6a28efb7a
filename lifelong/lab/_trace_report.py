"""The report of a traced log: one self-contained HTML page, and the same table for the terminal."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from minijinja import safe

from lifelong.exams import Interval
from lifelong.exams.tracing import LearningCurve, Marks
from lifelong.life import write_atomically
from lifelong.worlds import PracticeLog

from . import _trace_figures as figures
from ._figures import Panel
from ._report import templates
from ._trace import Examined, Trace
from ._trace_gaps import gaps

STUDENTS, SKILLS, CURVES, EDGES = 60, 48, 24, 40
"""What the page shows at most: students and skills of the map, learning curves, and edges of the graph."""

ADVISED = 300
"""Students whose next exercises the page lists."""


def report(trace: Trace, path: Path, command: str = "") -> Path:
    """Write a trace as one HTML file that needs nothing but itself; raises `BadFile` where it cannot be written."""
    page = templates().render_template("trace.html", **_content(trace, command))
    write_atomically(path, page.encode())
    return path


def measures(one: Examined) -> dict[str, Any]:
    """Return every measure of a model with its interval, its control and its retention as plain values."""
    intervals = one.validation.intervals()
    return {
        "marks": asdict(one.validation.marks()),
        "intervals": {name: interval and [interval.low, interval.high] for name, interval in intervals.items()},
        "by_skill": {name: asdict(marks) for name, marks in one.validation.by_skill().items()},
        "control": asdict(one.control) | {"passed": one.control.passed},
        "retention": one.retention and asdict(one.retention),
        "doubts": one.doubts,
        "seconds": one.seconds,
    }


def model_rows(trace: Trace) -> list[dict[str, Any]]:
    """Return one row a model, likeliest first, in words."""
    order = sorted(trace.examined.values(), key=lambda one: -one.validation.marks().log_likelihood)
    return [_model_row(one, one.name == trace.best) for one in order]


def _model_row(one: Examined, best: bool) -> dict[str, Any]:
    marks, spans = one.validation.marks(), one.validation.intervals()
    cells = {
        "AUC": (_auc(one), _span(spans["auc"])),
        "log-likelihood": (_signed(marks.log_likelihood), _span(spans["log_likelihood"])),
        "accuracy": (f"{100 * marks.accuracy:.1f} %", _span(spans["accuracy"], 100, 1)),
        "calibration error": (f"{marks.calibration_error:.3f}", _span(spans["calibration_error"])),
    }
    ranked = bool(np.isfinite(one.control.auc))
    held = "FAILED" if not one.control.passed else "passed" if ranked else ""
    retained = f"{one.retention.auc:.3f}" if one.retention and np.isfinite(one.retention.auc) else ""
    return {
        "name": one.name,
        "full_name": one.validation.tracer.name,
        "best": best,
        "cells": cells,
        "control": f"{one.control.auc:.3f}" if ranked else "undefined",
        "held": held,
        "retention": retained,
        "seconds": f"{one.seconds:.1f}",
    }


def _auc(one: Examined) -> str:
    value = one.validation.marks().auc
    return f"{value:.3f}" if np.isfinite(value) else "undefined"


def _span(interval: Interval | None, factor: float = 1, digits: int = 3) -> str:
    if interval is None:
        return ""
    return f"{_signed(interval.low * factor, digits)} to {_signed(interval.high * factor, digits)}"


def _signed(value: float, digits: int = 3) -> str:
    """Return a number with a proper minus, and none before what is rounded to 0."""
    return f"{value:z.{digits}f}".replace("-", "−")


def _content(trace: Trace, command: str) -> dict[str, Any]:
    """Return all that the page shows."""
    log, best = trace.log, trace.examined[trace.best]
    marks = best.validation.by_skill()
    numbers = {curve.skill: i + 1 for i, curve in enumerate(trace.curves)}
    known = best.validation.tracer.mastery(log)
    attempts = _attempts(log)
    every = {name: i for i, name in enumerate(log.skills)}
    for name in every:
        numbers.setdefault(name, len(numbers) + 1)
    return {
        "name": log.name,
        "account": str(log.account) if log.account else f"{len(log):,} attempts",
        "remarks": log.account.remarks if log.account else (),
        "sizes": _sizes(log),
        "best": trace.best,
        "best_name": best.validation.tracer.name,
        "best_auc": _auc(best),
        "likelier": trace.likelier,
        "best_held": best.control.passed,
        "best_error": f"{best.validation.marks().calibration_error:.3f}",
        "folds": len(np.unique(best.validation.fold)),
        "alone": bool(np.all(best.validation.fold < 0)),
        "rows": model_rows(trace),
        "columns": list(model_rows(trace)[0]["cells"]),
        "left_out": trace.left_out,
        "gaps": gaps(trace),
        "controls": [_control(one) for one in trace.examined.values()],
        "doubts": [f"{one.name}: {doubt}" for one in trace.examined.values() for doubt in one.doubts],
        "models": _panel(figures.models_figure(trace)),
        "curves": [_panel(figures.curve_figure(c, numbers[c.skill], trace.best)) for c in trace.curves[:CURVES]],
        "skills": [_skill(curve, numbers, known, attempts, every, marks) for curve in trace.curves],
        "mastery": _panel(_map(trace, known, attempts, numbers)),
        "map_students": min(STUDENTS, len(log.students)),
        "map_skills": min(SKILLS, len(trace.curves)),
        "edges": [_edge(edge, numbers) for edge in trace.edges[:EDGES]],
        "edges_in_all": len(trace.edges),
        "graph": _panel(figures.graph_figure(trace.edges[:EDGES], numbers, log)),
        "calibration": _panel(figures.calibration_figure(trace)),
        "advice": _advice(trace, known, attempts),
        "students": len(log.students),
        "command": command,
    }


def _panel(panel: Panel) -> dict[str, Any]:
    return {**panel._asdict(), "svg": safe(panel.svg)}


def _sizes(log: PracticeLog) -> dict[str, str]:
    graded = log.outcome[log.graded]
    sizes = np.diff(log.starts)
    facts = {
        "students": f"{len(log.students):,}",
        "skills": f"{len(log.skills):,}",
        "items": f"{len(log.items):,}",
        "attempts a student": f"{int(np.median(sizes)):,} in the median, {int(sizes.min()):,} to {int(sizes.max()):,}",
        "right": f"{100 * graded.mean():.1f} %" if len(graded) else "nothing graded",
    }
    if log.timed:
        facts["time covered"] = _duration(float(np.ptp(log.time)))
    return facts


def _duration(seconds: float) -> str:
    units = {"days": 86400, "hours": 3600, "minutes": 60}
    unit = next((unit for unit, size in units.items() if seconds >= size), "seconds")
    return f"{seconds / units.get(unit, 1):,.1f} {unit}"


def _attempts(log: PracticeLog) -> Int[np.ndarray, "students skills"]:
    row, slot = np.nonzero(log.skill >= 0)
    table = np.zeros((len(log.students), len(log.skills)), np.int64)
    np.add.at(table, (log.student[row], log.skill[row, slot]), 1)
    return table


def _control(one: Examined) -> dict[str, Any]:
    control = one.control
    ranked = bool(np.isfinite(control.auc))
    if not ranked:
        ranking = "coin flips could not be ranked, for the reason named below"
    else:
        near = "within" if abs(control.auc - 0.5) <= control.band else "beyond"
        chance = f"{near} the {control.band:.3f} that chance takes it from 0.5"
        ranking = f"on coin flips the AUC is {control.auc:.3f}, {chance}"
    moved = f"no prediction moves by more than {max(control.moved, 1e-12):.0e} with its own or a later answer"
    word = "✗ failed" if not control.passed else "✓ passed" if ranked else "✓ in part"
    return {"passed": control.passed, "word": word, "sentence": f"{one.name}: {ranking}; {moved}"}


def _skill(
    curve: LearningCurve,
    numbers: dict[str, int],
    known: Float[np.ndarray, "students skills"],
    attempts: Int[np.ndarray, "students skills"],
    every: dict[str, int],
    marks: dict[str, Marks],
) -> dict[str, str]:
    k, own = every[curve.skill], marks[curve.skill]
    there = attempts[:, k] > 0
    return {
        "number": str(numbers[curve.skill]),
        "name": curve.skill,
        "attempts": f"{int(attempts[:, k].sum()):,}",
        "students": f"{int(there.sum()):,}",
        "first": f"{100 * float(curve.observed[0]):.0f} %",
        "last": f"{100 * float(curve.observed[-1]):.0f} % at attempt {len(curve.observed)}",
        "known": f"{100 * float(known[there, k].mean()):.0f} %" if there.any() else "",
        "auc": f"{own.auc:.3f}" if np.isfinite(own.auc) else "undefined",
        "log_likelihood": _signed(own.log_likelihood),
        "calibration_error": f"{own.calibration_error:.3f}",
    }


def _map(
    trace: Trace,
    known: Float[np.ndarray, "students skills"],
    attempts: Int[np.ndarray, "students skills"],
    numbers: dict[str, int],
) -> Panel:
    """Return the mastery map of the students with the most attempts, least known first."""
    log, every = trace.log, {name: i for i, name in enumerate(trace.log.skills)}
    skills = np.array([every[curve.skill] for curve in trace.curves[:SKILLS]])
    students = np.argsort(-attempts.sum(axis=1), kind="stable")[:STUDENTS]
    practised = attempts[np.ix_(students, skills)] > 0
    shown = known[np.ix_(students, skills)]
    means = np.where(practised, shown, 0).sum(axis=1) / np.maximum(practised.sum(axis=1), 1)
    order = np.argsort(means, kind="stable")
    names = [log.students[s] for s in students[order]]
    return figures.mastery_figure(
        shown[order], practised[order], names, [numbers[log.skills[k]] for k in skills.tolist()]
    )


def _edge(edge: Any, numbers: dict[str, int]) -> dict[str, str]:
    return {
        "before": f"{numbers[edge.before]}. {edge.before}",
        "after": f"{numbers[edge.after]}. {edge.after}",
        "effect": f"{10 * edge.effect:+.1f} points".replace("-", "−"),
        "p": f"{edge.p:.2g}",
        "students": f"{edge.students:,}",
    }


def _advice(
    trace: Trace, known: Float[np.ndarray, "students skills"], attempts: Int[np.ndarray, "students skills"]
) -> list[dict[str, Any]]:
    """Return what the first students should do next, those who know least first."""
    practised: Bool[np.ndarray, "students skills"] = attempts > 0
    means = np.where(practised, known, 0).sum(axis=1) / np.maximum(practised.sum(axis=1), 1)
    order = np.argsort(means, kind="stable")[:ADVISED].tolist()
    return [
        {
            "student": trace.log.students[s],
            "attempts": f"{int(attempts[s].sum()):,}",
            "known": f"{100 * means[s]:.0f} %",
            "advice": [
                asdict(one) | {"exercises": ", ".join(one.exercises)} for one in trace.advice[trace.log.students[s]]
            ],
        }
        for s in order
    ]
