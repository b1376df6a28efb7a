"""Published numbers beside ours: `anchors show`, `anchors run`. Only `run` waits for JAX."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from lifelong.errors import BadInput, UnknownName
from lifelong.lab._agreement import apart, as_front_page, as_page, published, spread
from lifelong.lab._anchors import Anchor, Comparison, Measured, chosen, compared, results_file

from ._cache import keep_compiled
from ._options import Command, Out, command_line, option, whole_number
from ._output import say, show, show_json, table
from ._progress import Status, saving_first

ACTIONS = ("show", "run")


@dataclass(frozen=True, kw_only=True)
class Anchors(Command):
    """Show published numbers beside ours, or live them again.

    A row is named as `show` names it, or by the beginning of its name: `hsu-2018/ewc/class`, `hsu-2018/ewc`. Rows lived
    here are kept in the folder of runs and shown in place of those that come with the library. `run` needs MNIST, or
    Omniglot for rows of episodes, but nothing for agents. Ctrl-C saves unfinished lives, and the same command goes on from
    there; more seeds extend what is stored.
    """

    action: Annotated[str, option("show or run", metavar="ACTION")]
    rows: Annotated[list[str], option("the rows; all of them where none is named", nargs="*", metavar="ROW")]
    markdown: Annotated[bool, option("show: print the page docs/anchors.md")] = False
    readme: Annotated[bool, option("show: print the table of README.md")] = False
    seeds: Annotated[int | None, option("run: how many seeds (default: 10, or 5)", type=whole_number, metavar="N")] = (
        None
    )
    quick: Annotated[bool, option("run: live a tenth (of episodes, a thousandth) with 2 seeds; store nothing")] = False
    force: Annotated[bool, option("run: forget what is stored of these rows and live them again")] = False
    strict: Annotated[bool, option("exit with code 3 if a row that was lived is not inside its band")] = False
    out: Out = None

    def __call__(self) -> int:
        """Do what was asked for and print the rows."""
        if self.action not in ACTIONS:
            raise UnknownName("anchors command", self.action, ACTIONS)
        if self.seeds is not None and self.seeds < 1:
            raise BadInput(f"a row needs at least one seed, not {self.seeds}")
        rows = chosen(self.rows)
        if self.action == "show":
            return self._print(compared(rows, self.out))
        keep_compiled()
        rows = self._that_can_be_lived(rows)
        try:
            with saving_first():
                return self._print(self._live(rows))
        except KeyboardInterrupt:
            say(f"lifelong: interrupted; to go on: {command_line(self, 'anchors', without=('force',))}")
            return 130

    def _that_can_be_lived(self, rows: Sequence[Anchor]) -> list[Anchor]:
        """Return the rows whose parts are built; raise `BadInput` where none is."""
        able = [row for row in rows if not row.unmeasured]
        if not able:
            raise BadInput(f"{rows[0].name} cannot be lived yet: it {rows[0].unmeasured}")
        for row in rows:
            if row.unmeasured:
                say(f"{row.name} is left out: it {row.unmeasured}")
        return able

    def _live(self, rows: Sequence[Anchor]) -> list[Comparison]:
        from lifelong.lab._reproduce import data_for, rehearse, reproduce

        data = {name: data_for(row) for name, row in {row.data: row for row in rows}.items()}
        lived = []
        with Ticker(len(rows)) as news:
            for row in rows:
                seeds = range(self.seeds or (2 if self.quick else row.source.seeds))
                progress = news.of(row.name)
                if self.quick:
                    ours = rehearse(row, data[row.data], seeds, progress=progress)
                else:
                    ours = reproduce(row, data[row.data], seeds, self.out, force=self.force, progress=progress)
                lived.append(Comparison(anchor=row, ours=ours))
                news.done(lived[-1], self.quick)
        return lived

    def _print(self, rows: list[Comparison]) -> int:
        if self.json:
            show_json({"rows": [_plain(one, self.quick) for one in rows]})
        elif self.markdown or self.readme:
            print(as_page(rows) if self.markdown else as_front_page(rows), end="")
        else:
            columns = ("row", "published", "ours", "apart", "band", "state")
            show(table(columns, [_cells(one, self.quick) for one in rows], numbers=columns[1:5]))
            self._print_summary(rows)
        beside = any(one.state in ("outside", "diverged") for one in rows)
        return 3 if self.strict and beside and not self.quick else 0

    def _print_summary(self, rows: Sequence[Comparison]) -> None:
        if self.quick:
            print("a tenth of every row was lived, of episodes a thousandth: that it runs is all this says")
            return
        said = {(one.anchor.method_name, one.anchor.unmeasured or one.anchor.outside): None for one in rows}
        for name, why in said:
            if why:
                print(f"{name}: {why}")
        states = [one.state for one in rows]
        counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
        print(f"{len(rows)} rows: {', '.join(counts)}; ours lived here are kept in {results_file(self.out)}")


class Ticker:
    """Tells how lives of rows get on; where there is no terminal, every finished row has a line, too."""

    def __init__(self, rows: int):
        self.rows, self.finished, self.status = rows, 0, Status()
        self.began = time.perf_counter()

    def __enter__(self) -> "Ticker":
        return self

    def __exit__(self, *error: object) -> None:
        self.status.clear()

    def of(self, name: str) -> Any:
        """Return what takes the news of one row."""
        self.status.show(f"{self._count()} {name}: compiling")
        from lifelong.life import Forecast

        forecast = Forecast()
        return lambda moment: self.status.show(f"{self._count()} {name}: {forecast(moment)}")

    def done(self, one: Comparison, quick: bool) -> None:
        """Say how a row has ended."""
        self.finished += 1
        seconds = time.perf_counter() - self.began
        if not self.status.terminal:
            ours = one.ours
            found = f"{spread(ours.mean, ours.sd)}, published {published(one)}" if ours else ""
            verdict = "" if quick else f": {one.state}"
            say(f"{self._count()} {one.anchor.name}: {found}{verdict} ({seconds:.0f} s in all)")

    def _count(self) -> str:
        return f"{self.finished}/{self.rows}"


def _cells(one: Comparison, quick: bool) -> tuple[str, ...]:
    ours, about = one.ours, (one.anchor.name, published(one))
    if ours is None:
        return (*about, "", "", "", one.state)
    if quick:
        return (*about, spread(ours.mean, ours.sd), "", "", "not judged")
    return (*about, spread(ours.mean, ours.sd), apart(one), f"{one.band:.2f}", one.state)


def _plain(one: Comparison, quick: bool) -> dict[str, Any]:
    anchor = one.anchor
    said = {
        "mean": anchor.mean,
        "sd": anchor.sd,
        "se": anchor.se,
        "error": anchor.error,
        "runs": anchor.source.runs,
        "about": anchor.about,
    }
    return {
        "row": anchor.name,
        "source": anchor.source.file,
        "mark": anchor.source.mark,
        "published": said,
        "ours": one.ours and _plain_ours(one.ours),
        "difference": one.difference,
        "band": one.band,
        "state": "not judged" if quick else one.state,
        "why": anchor.unmeasured or anchor.outside,
    }


def _plain_ours(ours: Measured) -> dict[str, Any]:
    return {"mean": ours.mean, "sd": ours.sd, "error": ours.error, "accuracy": ours.accuracy, **ours.about}
