"""Living studies, and reporting what was lived: `run`, `report`."""

import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from lifelong.errors import BadInput, UnknownName

from ._cache import keep_compiled
from ._options import SEVERAL, Command, Out, command_line, option, whole_number
from ._output import facts, say, show, show_json, table
from ._progress import Ticker, saving_first

if TYPE_CHECKING:
    import lifelong.lab as lab


@dataclass(frozen=True, kw_only=True)
class WithConfiguration(Command):
    """What decides where the lives of a study are stored."""

    budget: Annotated[str, option("how much to live: smoke, quick or full (default: full)", metavar="BUDGET")] = "full"
    seeds: Annotated[int | None, option("how many seeds to live", type=whole_number, metavar="N")] = None
    set: Annotated[list[str] | None, option("change settings of the study", **SEVERAL, metavar="NAME=VALUE")] = None
    out: Out = None

    def changes(self) -> dict[str, Any]:
        """Return the settings that are to differ from the budget's."""
        pairs = [text.partition("=") for text in self.set or ()]
        if bare := [name for name, equals, _ in pairs if not equals]:
            raise BadInput(f"--set takes NAME=VALUE, and '{bare[0]}' came")
        seeds = {} if self.seeds is None else {"seeds": self.seeds}
        return seeds | {name: value for name, _, value in pairs}


class Plan(NamedTuple):
    """A study to be lived: how, which arms, and where its results go."""

    study: "lab.Study"
    settings: "lab.Settings"
    arms: tuple[str, ...]
    store: "lab.Store"

    def missing(self) -> dict[str, list[int]]:
        """Return the seeds of every arm that are not stored yet."""
        from lifelong.lab._store import missing_seeds

        seeds = range(self.settings.seeds)
        return {arm: missing_seeds(self.store.load(arm), seeds) for arm in self.arms}


@dataclass(frozen=True, kw_only=True)
class Run(WithConfiguration):
    """Run studies: live what is not stored yet, weigh their claims, and write a report of each.

    More seeds extend what is stored. Ctrl-C saves unfinished lives, and the same command goes on from there.
    """

    slugs: Annotated[list[str], option("the studies to run", nargs="+", metavar="STUDY")]
    arms: Annotated[str, option("live only these arms, separated by commas", metavar="ARM,ARM")] = ""
    force: Annotated[bool, option("forget what is stored of this configuration and live it again")] = False
    dry_run: Annotated[bool, option("say what would be lived, and live nothing")] = False
    strict: Annotated[bool, option("exit with code 3 unless every verdict is 'supported'")] = False

    def __call__(self) -> int:
        """Check all studies before the first is lived, live them, and print what they found."""
        keep_compiled()
        changes, plans = self.changes(), []
        for slug in dict.fromkeys(self.slugs):
            plans.append(self._plan(slug, changes))
        if self.dry_run:
            return self._preview(plans)
        try:
            with saving_first():
                runs = [self._live(plan) for plan in plans]
        except KeyboardInterrupt:
            self._say_how_to_go_on(plans)
            return 130
        adjusted = _adjusted(runs)
        if self.json:
            show_json({"studies": [_plain_run(run) | {"p_adjusted": adjusted.get(run.study.slug)} for run in runs]})
        elif len(runs) > 1:
            show("", _summary(runs, adjusted))
        return 3 if self.strict and any(run.verdict.outcome != "supported" for run in runs) else 0

    def _plan(self, slug: str, changes: Mapping[str, Any]) -> Plan:
        from lifelong import lab, studies

        study = studies.load(slug)
        settings = study.configured(self.budget, changes)
        wanted = [arm.strip() for arm in self.arms.split(",") if arm.strip()]
        for arm in wanted:
            if arm not in study.arms:
                raise UnknownName("arm", arm, study.arms)
        arms = tuple(arm for arm in study.arms if not wanted or arm in wanted)
        return Plan(study, settings, arms, lab.Store.of(study, settings, self.out))

    def _live(self, plan: Plan) -> "lab.Run":
        from lifelong import lab

        with Ticker(plan.study, plan.arms) as news:
            run = lab.run(
                plan.study,
                self.budget,
                changes=self.changes(),
                arms=plan.arms,
                out=self.out,
                force=self.force,
                news=news,
            )
        if not self.json:
            show_run(run)
        return run

    def _preview(self, plans: Sequence[Plan]) -> int:
        todo = [plan.missing() for plan in plans]
        if self.force:
            todo = [{arm: list(range(plan.settings.seeds)) for arm in plan.arms} for plan in plans]
        if self.json:
            show_json({"studies": [_plain_plan(plan, seeds) for plan, seeds in zip(plans, todo, strict=True)]})
            return 0
        for plan, seeds in zip(plans, todo, strict=True):
            settings = ", ".join(f"{name}={value}" for name, value in plan.settings.items())
            show(facts({"study": plan.study.slug, "budget": self.budget, "settings": settings}))
            print(f"folder    {plan.store.folder}\n")
            rows = [(arm, plan.study.arms[arm].role, _seeds(seeds[arm])) for arm in plan.arms]
            show(table(("arm", "role", "to live"), rows))
        return 0

    def _say_how_to_go_on(self, plans: Sequence[Plan]) -> None:
        for plan in plans:
            finished = [arm for arm, missing in plan.missing().items() if not missing]
            saved = [arm for arm in plan.arms if any((plan.store.folder / "unfinished").glob(f"{arm}.*"))]
            if len(finished) < len(plan.arms):
                unfinished = f"; unfinished lives are saved of: {', '.join(saved)}" if saved else ""
                say(f"{plan.study.slug}: {len(finished)} of {len(plan.arms)} arms are finished{unfinished}")
        say(f"lifelong: interrupted; to go on: {command_line(self, 'run', without=('force',))}")


@dataclass(frozen=True, kw_only=True)
class Report(WithConfiguration):
    """Report a study from its stored lives: nothing is lived again.

    --budget, --seeds and --set say which of its runs, as they do for `run`.
    """

    slug: Annotated[str, option("the study to report", metavar="STUDY")]
    markdown: Annotated[bool, option("print the table as Markdown")] = False
    open: Annotated[bool, option("open the report in a browser")] = False

    def __call__(self) -> int:
        """Weigh the stored lives, write the report, print what it says."""
        keep_compiled()
        from lifelong import lab, studies
        from lifelong.lab import _report

        run = lab.stored(studies.load(self.slug), self.budget, changes=self.changes(), out=self.out)
        if self.json:
            show_json(_plain_run(run))
        elif self.markdown:
            print(_report.as_markdown(run))
        else:
            show_run(run)
        if self.open:
            webbrowser.open(_report.report(run).resolve().as_uri())
        return 0


def show_run(run: "lab.Run") -> None:
    """Print a run's measures, its verdict and why, and where its report lies."""
    from rich.text import Text

    from lifelong.lab import _report

    show("", _report.as_table(run), *_report.remarks(run), "")
    show(Text.assemble((str(run.verdict.outcome), "bold"), f": {run.verdict.reason}"))
    if run.stale:
        print(f"stale: {', '.join(run.stale)} were lived by other code than this; --force lives them again")
    print(f"report: {_report.report(run)}")


def _plain_run(run: "lab.Run") -> dict[str, Any]:
    from lifelong.lab import _report

    about = {
        "study": run.study.slug,
        "budget": run.budget,
        "settings": dict(run.settings),
        "arms": list(run.lives),
        "stale": run.stale,
        "folder": run.store.folder,
        "report": _report.report(run),
    }
    return about | run.findings()


def _plain_plan(plan: Plan, seeds: Mapping[str, list[int]]) -> dict[str, Any]:
    return {
        "study": plan.study.slug,
        "settings": dict(plan.settings),
        "folder": plan.store.folder,
        "seeds_to_live": seeds,
    }


def _adjusted(runs: Sequence["lab.Run"]) -> dict[str, float]:
    """Return the p-value of every study that could be weighed, adjusted for the number of them."""
    from lifelong.exams._statistics import benjamini_hochberg

    p = {run.study.slug: run.verdict.effect.p for run in runs if run.verdict.effect}
    return dict(zip(p, benjamini_hochberg(list(p.values())).tolist(), strict=True))


def _summary(runs: Sequence["lab.Run"], adjusted: Mapping[str, float]) -> Any:
    """Return one row a study; p adjusted after Benjamini and Hochberg."""
    rows = []
    for run in runs:
        effect, slug = run.verdict.effect, run.study.slug
        gain = f"{effect.mean:.4g} ({effect.interval.low:.4g} to {effect.interval.high:.4g})" if effect else "undefined"
        p = (f"{effect.p:.2g}", f"{adjusted[slug]:.2g}") if effect else ("", "")
        rows.append((slug, run.verdict.outcome, *p, f"{run.study.claim.on}: {gain}"))
    return table(("study", "verdict", "p", "adjusted p", "gain (95 % interval)"), rows, numbers=("p", "adjusted p"))


def _seeds(seeds: Sequence[int]) -> str:
    return f"seeds {', '.join(map(str, seeds))}" if seeds else "nothing: it is stored"
