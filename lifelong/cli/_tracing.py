"""Tracing a practice log: `trace`."""

import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from lifelong.errors import BadInput
from lifelong.lab._catalogue import catalogue

from ._cache import keep_compiled
from ._options import Command, command_line, number, option, whole_number
from ._output import say, show, show_json, table
from ._progress import Status
from ._stored import run_named

if TYPE_CHECKING:
    from lifelong.lab._trace import Trace as Found
    from lifelong.worlds import PracticeLog

MOST = 200_000
"""Rows that are kept of a larger log."""

OF_FILES = ("student", "skill", "item", "outcome", "time", "attempt", "separator", "layout", "time_unit", "encoding")
OF_RUNS = ("exam", "attempts", "pass_mark")


@dataclass(frozen=True, kw_only=True)
class Trace(Command):
    """Trace what students know: fit models to a practice log, examine them, and write a report with advice.

    The log is a CSV or Parquet file with a row an attempt (student, skill, item, outcome, time), a folder of EdNet KT1, or
    "lkt". Columns of public layouts and usual names are found; others are named by --student and its like. A stored run
    is a log too, given its folder, a file of one arm, or STUDY/RUN: every arm and seed is a student, every task a skill.
    What became of every row is said first.
    """

    log: Annotated[str, option("the file or folder, lkt, or a stored run", metavar="LOG")]
    models: Annotated[str, option("which models, separated by commas, or all", metavar="NAME,NAME")] = ""
    folds: Annotated[int, option("folds of students that are held out in turn", type=whole_number, metavar="N")] = 5
    seed: Annotated[int, option("of folds, restarts and samples", type=whole_number, metavar="N")] = 0
    out: Annotated[
        Path | None, option("where the report goes (default: LOG-trace.html)", type=Path, metavar="FILE")
    ] = None
    most: Annotated[int, option("rows to keep of a larger log, of whole students", type=whole_number, metavar="N")] = (
        MOST
    )
    student: Annotated[str, option("the column of students", metavar="COLUMN")] = ""
    skill: Annotated[str, option("the column of skills, or several, separated by commas", metavar="COLUMN")] = ""
    item: Annotated[str, option("the column of items", metavar="COLUMN")] = ""
    outcome: Annotated[str, option("the column of outcomes", metavar="COLUMN")] = ""
    time: Annotated[str, option("the column of times", metavar="COLUMN")] = ""
    attempt: Annotated[str, option("the column that identifies attempts", metavar="COLUMN")] = ""
    separator: Annotated[
        str | None, option("what stands between the skills of a cell; '' for nothing", metavar="MARK")
    ] = None
    layout: Annotated[str | None, option("the public layout, where it is not recognised", metavar="NAME")] = None
    time_unit: Annotated[str | None, option("the unit of times that are numbers", metavar="UNIT")] = None
    encoding: Annotated[str | None, option("the encoding of a CSV file", metavar="NAME")] = None
    exam: Annotated[
        str | None, option("of a run: the exam to read (default: answers, or accuracy)", metavar="NAME")
    ] = None
    attempts: Annotated[str, option("of a run: exams, lessons or both", metavar="WHICH")] = "exams"
    pass_mark: Annotated[
        float, option("of a run: the share of right answers that counts as right", type=number, metavar="SHARE")
    ] = 0.5

    anchors: Annotated[bool, option("show published AUCs on this file beside ours (name --models, and --most)")] = False

    def __call__(self) -> int:
        """Read the log, trace it, print the table, write the report."""
        keep_compiled()
        names = self._names()
        if self.folds < 2:
            raise BadInput(f"--folds {self.folds}: at least 2 are needed, to hold students out")
        began, out = time.perf_counter(), self._out()
        with Ticker(len(names)) as news:
            news("reading", "")
            log = self._read()
            news("compiling", "")
            from lifelong.lab import _trace, _trace_report

            found = _trace.trace(log, names, folds=self.folds, seed=self.seed, news=news)
            _trace_report.report(found, out, command_line(self, "trace"))
        if self.json:
            show_json(_plain(found, out) | ({"anchors": _anchors(found)[1]} if self.anchors else {}))
        else:
            _show(found, out, time.perf_counter() - began)
            if self.anchors:
                _show_anchors(found)
        return 0

    def _names(self) -> list[str]:
        from lifelong.errors import UnknownName
        from lifelong.exams.tracing import MODELS, USUAL_MODELS

        if self.models == "all":
            return list(MODELS)
        names = [name.strip() for name in self.models.split(",") if name.strip()]
        for name in names:
            if name not in MODELS:
                raise UnknownName("model of practice", name, MODELS)
        return names or list(USUAL_MODELS)

    def _out(self) -> Path:
        """Return where the report goes, after making sure that it can be written."""
        from lifelong.life import check_writable

        path = Path(self.log)
        stem = (path if path.is_fifo() else path.resolve()).name.split(".")[0] or "log"
        out = self.out or Path(f"{stem}-trace.html")
        check_writable(out)
        return out

    def _run(self) -> Path | None:
        """Return the folder or file of a stored run, if that is what the log is."""
        path = Path(self.log)
        if path.suffix == ".nc" or (path / "manifest.json").exists():
            return path
        slug, _, name = self.log.partition("/")
        if path.exists() or not name or slug not in {paper.slug for paper in catalogue()}:
            return None
        return run_named(slug, name, None)

    def _refuse(self, options: tuple[str, ...], what: str) -> None:
        """Raise BadInput where options are given that are not for this kind of log."""
        usual = {setting.name: setting.default for setting in fields(self)}
        if given := [name for name in options if getattr(self, name) != usual[name]]:
            raise BadInput(f"--{given[0].replace('_', '-')} is for {what}, and {self.log} is none: leave it out")

    def _read(self) -> "PracticeLog":
        from lifelong.worlds import practice_log

        run = self._run()
        self._refuse(OF_FILES if run else OF_RUNS, "a file of practice" if run else "a stored run")
        if run:
            from lifelong.lab._practised import practice_of_run

            return practice_of_run(run, self.exam, attempts=self.attempts, pass_mark=self.pass_mark)
        columns = {role: getattr(self, role) for role in ("student", "item", "outcome", "time", "attempt")}
        columns |= {"skill": [name for name in self.skill.split(",") if name]}
        return practice_log(
            self.log,
            {role: of for role, of in columns.items() if of},
            layout=self.layout,
            most=self.most,
            seed=self.seed,
            encoding=self.encoding,
            time_unit=self.time_unit,
            separator=self.separator,
        )


class Ticker:
    """Tells how far a trace is; where there is no terminal, every finished model has a line, too."""

    def __init__(self, models: int):
        self.models, self.examined = models, 0
        self.began, self.status = time.perf_counter(), Status()

    def __enter__(self) -> "Ticker":
        return self

    def __exit__(self, *_: Any) -> None:
        self.status.clear()

    def __call__(self, what: str, done: str) -> None:
        """Take in what has been done."""
        self.examined += done in ("examined", "left out")
        line = f"{self.examined}/{self.models} models · {what} {done} · {time.perf_counter() - self.began:.0f} s"
        if done and not self.status.terminal:
            say(line)
        else:
            self.status.show(line)


def _show(found: "Found", out: Path, seconds: float) -> None:
    from lifelong.lab._trace_gaps import gaps, no_pairs
    from lifelong.lab._trace_report import model_rows

    print(found.log.account)
    for remark in found.log.account.remarks if found.log.account else ():
        print(f"  {remark}")
    rows = model_rows(found)
    columns = ("model", *rows[0]["cells"], "coin flips", "retention", "s")
    cells = [
        (row["name"], *(_joined(*cell) for cell in row["cells"].values()), f"{row['control']} {row['held']}",
            row["retention"], row["seconds"])
        for row in rows
    ]  # fmt: skip
    show("", table(columns, cells), "")
    for name, why in found.left_out.items():
        print(f"left out: {name}: {why}")
    for gap in gaps(found):
        print(gap)
    for one in found.examined.values():
        for doubt in one.doubts:
            print(f"{one.name}: {doubt}")
    whose = (
        "held-out students" if len(found.log.students) > 1 else "the rows it was fitted to, for there is one student"
    )
    if found.likelier:
        whose += f", of those whose control held ({', '.join(found.likelier)} did better, but not fairly)"
    elif not found.examined[found.best].control.passed:
        whose += ", though no control held"
    pairs = "" if no_pairs(found.log) else f"; {len(found.edges)} pairs of skills stand out as prerequisites"
    print(f"likeliest on {whose}: {found.best}{pairs}")
    print(f"report: {out} ({seconds:.0f} s)")


def _show_anchors(found: "Found") -> None:
    """Print published AUCs on the file, known by its layout, beside ours."""
    sentence, rows = _anchors(found)
    if rows:
        cells = [
            (row["row"], f"{row['published']:g}", row["ours"] and f"{row['ours']:.4f}", row["state"]) for row in rows
        ]
        show("", table(("row", "published AUC", "ours", "state"), cells))
    print(sentence)


def _anchors(found: "Found") -> tuple[str, list[dict[str, Any]]]:
    """Return what the published AUCs on the file are of, and how each stands beside ours."""
    from lifelong.lab._tracing_anchors import WHOLE, tracing_anchors

    layout = next((row.layout for row in tracing_anchors() if _is_of(found.log, row.layout)), None)
    if layout is None:
        known = ", ".join(dict.fromkeys(row.layout for row in tracing_anchors()))
        return f"there are no published AUCs for this file; there are for: {known}", []
    log, ours = found.log, {name: one.validation.marks().auc for name, one in found.examined.items()}
    whole = len(log) >= WHOLE and not (log.account and log.account.sampled_out)
    rows = [
        {"row": row.name, "published": row.auc, "ours": ours.get(row.model), "state": row.state(ours, whole)}
        for row in tracing_anchors(layout)
    ]
    here = "the whole file" if whole else "part of that file, or another log"
    return (
        f"published AUCs are of the whole file; {len(log):,} attempts of {len(log.students):,} students are {here}",
        rows,
    )


def _is_of(log: "PracticeLog", layout: str) -> bool:
    return bool(log.account) and any(remark.startswith(f"layout {layout}") for remark in log.account.remarks)


def _joined(value: str, span: str) -> str:
    return f"{value} ({span})" if span else value


def _plain(found: "Found", out: Path) -> dict[str, Any]:
    from lifelong.lab._trace_gaps import gaps
    from lifelong.lab._trace_report import measures

    account = found.log.account
    return {
        "account": account and {"sentence": str(account), **asdict(account)},
        "students": len(found.log.students),
        "skills": len(found.log.skills),
        "folds": found.folds,
        "models": {name: measures(one) for name, one in found.examined.items()},
        "left_out": found.left_out,
        "gaps": gaps(found),
        "best": found.best,
        "prerequisites": [asdict(edge) for edge in found.edges],
        "advice": {student: [asdict(one) for one in advice] for student, advice in found.advice.items()},
        "report": out,
    }
