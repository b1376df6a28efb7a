"""Living studies, and reporting what was lived: `run`, `report`."""

import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

from lifelong.errors import BadInput, LifelongError, UnknownName
from lifelong.lab._catalogue import select

from ._cache import drop_compiled, keep_compiled
from ._on_hosts import live_share, several_hosts
from ._on_ray import live_on_ray
from ._options import SEVERAL, Command, Out, command_line, option, whole_number
from ._output import facts, say, show, show_json, table
from ._plan import Plan, blocks_of, cost
from ._progress import Ticker, saving_first

if TYPE_CHECKING:
    import lifelong.lab as lab

PLACES = ("here", "ray")
"""Where a run may be lived."""


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


@dataclass(frozen=True, kw_only=True)
class Run(WithConfiguration):
    """Run studies: live what is not stored yet, weigh their claims, and write a report of each.

    More seeds extend what is stored. Ctrl-C saves unfinished lives, and the same command goes on from there; so it does
    after any process was killed. In a job of several hosts (JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID)
    each process lives a share.
    """

    slugs: Annotated[list[str], option("the studies to run", nargs="*", metavar="STUDY")]
    all: Annotated[bool, option("run every study there is, those that take least first")] = False
    arms: Annotated[str, option("live only these arms, separated by commas", metavar="ARM,ARM")] = ""
    on: Annotated[str, option("where to live: here or on a Ray cluster (default: here)", metavar="here|ray")] = "here"
    block: Annotated[
        int | None, option("live and store so many seeds at a time (default: all)", type=whole_number, metavar="N")
    ] = None
    force: Annotated[bool, option("forget what is stored of this configuration and live it again")] = False
    dry_run: Annotated[bool, option("say what would be lived, and live nothing")] = False
    strict: Annotated[bool, option("exit with code 3 unless every verdict is 'supported'")] = False

    def __call__(self) -> int:
        """Check all studies before the first is lived, live them, and print what they found."""
        keep_compiled()
        plans = [self._plan(slug) for slug in self._slugs()]
        if self.dry_run:
            return self._preview(plans)
        try:
            with saving_first():
                runs, faults = self._live_all(plans)
        except KeyboardInterrupt:
            self._say_how_to_go_on(plans)
            return 130
        if self.json:
            adjusted = _adjusted(runs)
            show_json({"studies": [_plain_run(run) | {"p_adjusted": adjusted.get(run.study.slug)} for run in runs]})
        elif len(runs) > 1:
            show("", _summary(runs, _adjusted(runs)))
        for slug, fault in faults.items():
            say(f"lifelong: {slug} was left unfinished: {' '.join(fault.split())}")
        if faults:
            return 2
        return 3 if self.strict and any(run.verdict.outcome != "supported" for run in runs) else 0

    def _slugs(self) -> list[str]:
        """Return the studies to run; of all of them those first that take least, as far as is known."""
        if self.all == bool(self.slugs):
            raise BadInput("name each STUDY to run, or give --all, and not both")
        if self.on not in PLACES:
            raise UnknownName("place to live on", self.on, PLACES)
        if self.block is not None and self.block < 1:
            raise BadInput(f"--block takes a number of seeds from 1 on, and {self.block} came")
        if self.all:
            return sorted((paper.slug for paper in select(status="ready")), key=cost)
        return list(dict.fromkeys(self.slugs))

    def _plan(self, slug: str) -> Plan:
        from lifelong import studies

        study, changes = studies.load(slug), self.changes()
        wanted = [arm.strip() for arm in self.arms.split(",") if arm.strip()]
        for arm in wanted:
            if arm not in study.arms:
                raise UnknownName("arm", arm, study.arms)
        study.configured(self.budget, changes)
        arms = tuple(arm for arm in study.arms if not wanted or arm in wanted)
        return Plan(study, self.budget, changes, arms, self.out)

    def _live_all(self, plans: Sequence[Plan]) -> "tuple[list[lab.Run], dict[str, str]]":
        """Live what is missing, here or elsewhere; return the runs, and what went wrong with the others.

        Where only one study is to be lived, what goes wrong is raised.
        """
        runs, faults = [], {}
        for plan in plans if self.force else ():
            plan.forget()
        if several_hosts():
            if not live_share(plans, blocks_of(plans, self.block)):
                return [], {}
        elif self.on == "ray":
            faults = live_on_ray(blocks_of(plans, self.block))
        for plan in plans:
            try:
                runs += [self._live(plan)] if plan.study.slug not in faults else []
            except LifelongError as error:
                if len(plans) == 1:
                    raise
                faults[plan.study.slug] = str(error)
            if len(plans) > 1:
                drop_compiled()
        return runs, faults

    def _live(self, plan: Plan) -> "lab.Run":
        from lifelong import lab

        with Ticker(plan.study, plan.arms) as news:
            run = lab.run(
                plan.study,
                plan.budget,
                changes=plan.changes,
                arms=plan.arms,
                out=plan.out,
                block=self.block,
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
        if self.all:
            rows = [
                (plan.study.slug, sum(map(bool, s.values())), _in_full(plan))
                for plan, s in zip(plans, todo, strict=True)
            ]
            show(table(("study", "arms to live", "seconds in full"), rows, numbers=("arms to live", "seconds in full")))
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
            saved = [arm for arm in plan.arms if any((plan.store.folder / "unfinished").glob(f"{arm}.*.safetensors"))]
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


def _in_full(plan: Plan) -> str:
    """Return the seconds that a study took in full; nothing where that is not known."""
    seconds = cost(plan.study.slug)
    return f"{seconds:.0f}" if isfinite(seconds) else "unknown"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seeds {', '.join(map(str, seeds))}" if seeds else "nothing: it is stored"
