"""The report of a run: one self-contained HTML page, and the same table for the terminal and in Markdown."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minijinja import Environment, safe

from lifelong.exams._statistics import FLIPS
from lifelong.life import write_atomically

from . import _figures as figures
from ._catalogue import FAMILIES, bibtex
from ._figures import Panel
from ._mechanism import mechanism, origins, pieces
from ._next import next_steps, related
from ._runner import Run
from ._verdict import Outcome, Verdict
from ._words import (
    UNMEASURED,
    ArmRow,
    Unit,
    arm_rows,
    claimed_unit,
    effect_facts,
    plain,
    ranges,
    refutation,
    spoken,
    tuning,
    units,
)

if TYPE_CHECKING:
    from rich.table import Table

BADGES = {
    Outcome.SUPPORTED: ("✓", "The claim holds here"),
    Outcome.REFUTED: ("✗", "The claim does not hold here"),
    Outcome.INCONCLUSIVE: ("≈", "The results leave the claim open"),
    Outcome.BROKEN: ("!", "The study cannot say anything"),
}

MANY_TASKS = 7
"""Task matrices of more tasks are drawn larger."""


def report(run: Run, path: str | Path | None = None) -> Path:
    """Write a run as one HTML file that needs nothing but itself, and return where it is.

    It lies beside the run's results as `report.html` unless stated. Raises `BadFile` where it cannot be written.
    """
    path = Path(path) if path is not None else run.store.folder / "report.html"
    write_atomically(path, as_html(run).encode())
    return path


def as_html(run: Run, home: str = "", docs: str = "") -> str:
    """Return the report as the text of an HTML page; `home` is the address of its site, `docs` that of the documentation."""
    return templates().render_template("study.html", home=home, docs=docs, **_content(run))


def as_table(run: Run) -> "Table":
    """Return arms and measures as a table for the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape as unmarked
    from rich.table import Table

    rows = arm_rows(run)
    title = f"{_headline(run)}; below each mean its 95 % interval"
    table = Table(title=unmarked(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    columns = list(zip(*([one.lines for one in row.estimates] for row in rows), strict=True))
    titles, tuned = _titles(run), [row.chosen.replace(" = ", "\n") for row in rows]
    if any(tuned):
        columns, titles = [*columns, tuned], [*titles, "tuned"]
    table.add_column("arm", no_wrap=True)
    for title, cells in zip(titles, columns, strict=True):
        table.add_column(title, min_width=max(len(line) for cell in cells for line in [*cell.splitlines(), ""]))
    for row, *cells in zip(rows, *columns, strict=True):
        role = f"{row.role}, {row.diverged} diverged" if row.diverged else row.role
        table.add_row(f"{unmarked(row.name)}\n[dim]{unmarked(role)}[/dim]", *map(unmarked, cells))
    return table


def remarks(run: Run) -> list[str]:
    """Return what the table leaves out: why estimates are undefined, and whose seeds are not in a mean."""
    found: dict[str, list[str]] = {}
    for row in arm_rows(run):
        for name, one in zip(units(run), row.estimates, strict=True):
            if one.reason and one.reason != UNMEASURED:
                found.setdefault(f"{row.name}: {{}} {one.reason}", []).append(spoken(name))
    return [sentence.format(", ".join(names)) for sentence, names in found.items()]


def as_markdown(run: Run) -> str:
    """Return verdict, arms and measures as Markdown."""
    header, rows = _grid(run)
    lines = [_markdown_row(header), _markdown_row(["---"] * len(header)), *map(_markdown_row, rows)]
    claims = [f"- {v.claim.sentence or _in_short(v)} **{v.outcome}**: {v.reason}." for v in run.secondary]
    parts = [
        f"# {run.study.paper.title}",
        f"**{run.verdict.outcome}** — {_sentence(run.verdict)}",
        f"{_capital(run.verdict.reason)}.",
        "\n".join(lines),
        "Secondary claims, without weight in the verdict:\n\n" + "\n".join(claims) if claims else "",
        f"    {run.study.command(run.budget, run.settings)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _grid(run: Run) -> tuple[list[str], list[list[str]]]:
    """Return the header and rows of the plain table; columns that would be empty are left out."""
    header = ["arm", "role", *_titles(run), "tuned", "compile + run s", "diverged"]
    rows = [
        [row.name, row.role, *map(str, row.estimates), row.chosen, _cost(row), str(row.diverged or "")]
        for row in arm_rows(run)
    ]
    full = [i for i in range(len(header)) if any(row[i] for row in rows)]
    return [header[i] for i in full], [[row[i] for i in full] for row in rows]


def _titles(run: Run) -> list[str]:
    return [spoken(name) + unit.mark for name, unit in units(run).items()]


def _cost(row: ArmRow) -> str:
    return f"{row.compiled} + {row.ran}" if row.compiled else ""


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _headline(run: Run) -> str:
    return f"{run.study.slug} · {run.budget} · seeds {_seeds(run)} · {run.verdict.outcome}"


def _seeds(run: Run) -> str:
    return ranges(range(run.settings.seeds))


def _content(run: Run) -> dict[str, Any]:
    """Return all that the page shows."""
    unit, rows, paper = claimed_unit(run), arm_rows(run), run.study.paper
    icon, meaning = BADGES[run.verdict.outcome]
    return {
        "paper": paper,
        "family": FAMILIES[paper.family],
        "question": run.study.question,
        "outcome": run.verdict.outcome.value,
        "icon": icon,
        "meaning": meaning,
        "claim": _sentence(run.verdict),
        "reason": _capital(run.verdict.reason),
        "effects": _effects(run.verdict, unit),
        "better": run.study.claim.better,
        "measured": spoken(run.study.claim.on),
        "least_p": plain(min(1.0, 2 / min(2**run.settings.seeds, FLIPS + 1)), 2),
        "seeds": _seeds(run),
        "tuning_seeds": ranges(run.study.tuning_seeds) if any(a.tune for a in run.study.arms.values()) else "",
        "measure": _panel(figures.measure_figure(run)),
        "differences": _panel(figures.differences_figure(run)),
        "measures": _titles(run),
        "rows": rows,
        "any_tuned": any(row.chosen for row in rows),
        "controls": [{"passed": c.passed, "sentence": _capital(c.sentence)} for c in run.verdict.controls],
        "diverged": _diverged(rows),
        "curve": spoken(run.study.curve),
        "curves": list(map(_panel, figures.curve_figures(run))),
        "over": figures.over_what(run),
        "matrices": list(map(_panel, figures.matrix_figures(run))),
        "many_tasks": any(life.sizes.get("task", 1) > MANY_TASKS for life in run.lives.values()),
        "secondary": [_secondary(v) for v in run.secondary],
        "forests": list(map(_panel, figures.secondary_figures(run))) if run.secondary else [],
        "mechanism": safe(mechanism(run.study)),
        "annotated": pieces(run.study),
        "tuning": tuning(run),
        "origins": [{"name": name, "words": safe(words)} for name, words in origins(run.study)],
        "steps": [step._asdict() for step in next_steps(run)],
        "related": [one._asdict() for one in related(paper)],
        "settings": _settings(run),
        "budget": run.budget,
        "command": run.study.command(run.budget, run.settings),
        "simplified": run.study.simplified,
        "refutation": refutation(run.study.claim, run.study.controls, unit),
        "provenance": _provenance(run),
        "stale": run.stale,
        "standing": run.standing,
        "bibtex": bibtex(paper),
    }


def _panel(panel: Panel) -> dict[str, Any]:
    return {**panel._asdict(), "svg": safe(panel.svg)}


def _effects(verdict: Verdict, unit: Unit) -> list[dict[str, Any]]:
    """Return the facts of the claim's comparisons, the knock-out's last."""
    pairs = [(verdict.claim.than, verdict.effect), (verdict.claim.knockout, verdict.knockout_effect)]
    return [
        {
            "over": other,
            "mean": unit.bare(effect.mean) + unit.gap,
            "interval": unit.span(effect.interval),
            "p": plain(effect.p, 2),
            "facts": effect_facts(effect, unit),
        }
        for other, effect in pairs
        if effect
    ]


def _secondary(verdict: Verdict) -> dict[str, str]:
    return {
        "icon": BADGES[verdict.outcome][0],
        "outcome": verdict.outcome.value,
        "sentence": _sentence(verdict),
        "reason": _capital(verdict.reason),
    }


def _sentence(verdict: Verdict) -> str:
    return verdict.claim.sentence or f"{_in_short(verdict)}."


def _in_short(verdict: Verdict) -> str:
    better, claim = "above" if verdict.claim.higher_is_better else "below", verdict.claim
    return f"{claim.better} ends {better} {claim.than} on {spoken(claim.on)}"


def _diverged(rows: Sequence[ArmRow]) -> str:
    lost = [f"{row.name} {row.diverged} of {row.seeds}" for row in rows if row.diverged]
    return f"Diverged seeds, counted as worst: {', '.join(lost)}." if lost else "No seed diverged."


def _settings(run: Run) -> list[dict[str, str]]:
    """Return every setting, its value in this run and, where that differs, its default."""
    default = run.study.settings
    return [
        {"name": name, "value": str(value), "default": "" if value == default[name] else str(default[name])}
        for name, value in run.settings.items()
    ]


def _provenance(run: Run) -> dict[str, str]:
    """Return where the lives come from; arms that differ are all named."""
    names = {"lifelong": "lifelong", "jax": "JAX", "device": "device", "machine": "machine", "code": "code fingerprint"}
    about = [life.attrs for life in run.lives.values()]
    facts = {
        words: ", ".join(sorted({str(attrs[name]) for attrs in about if name in attrs})) or "not recorded"
        for name, words in names.items()
    }
    dates = sorted({str(attrs["when"])[:16].replace("T", " ") for attrs in about if "when" in attrs})
    seconds = sum(float(attrs.get(name, 0)) for attrs in about for name in ("compile_seconds", "run_seconds"))
    return facts | {
        "lived (UTC)": " to ".join(dates if len(dates) < 2 else (dates[0], dates[-1])) or "not recorded",
        "time in all": f"{seconds:.1f} s, compiling included",
        "results": run.store.folder.name,
    }


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


@cache
def templates() -> Environment:
    """Return the pages of this package; all of them share one style sheet."""
    folder = files("lifelong.lab") / "templates"
    pages = {page.name: page.read_text(encoding="utf-8") for page in folder.iterdir() if page.is_file()}
    return Environment(templates=pages, trim_blocks=True, lstrip_blocks=True, undefined_behavior="strict")
