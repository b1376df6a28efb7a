"""What there is to run: `list`, `show`, `cite`. None of them waits for JAX, but for `show --full`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lifelong.errors import BadInput
from lifelong.lab._catalogue import FAMILIES, KINDS, ROLES, STATUSES, Entry, bibtex, catalogue, entry, select
from lifelong.lab._folders import Recorded, default_folder, recorded, runs_of
from lifelong.lab._shipped import Shipped, all_shipped, shipped

from ._options import Command, Out, option
from ._output import facts, show, show_json, table

if TYPE_CHECKING:
    from lifelong.lab import Claim, Control, Study


@dataclass(frozen=True, kw_only=True)
class List(Command):
    """List the papers of the catalogue: what the library's own runs found, which are ready to run, which are planned."""

    family: Annotated[str | None, option(f"only this family: {', '.join(FAMILIES)}", metavar="FAMILY")] = None
    role: Annotated[str | None, option(f"only papers for this role: {', '.join(ROLES)}", metavar="ROLE")] = None
    status: Annotated[str | None, option(f"only papers of this status: {', '.join(STATUSES)}", metavar="STATUS")] = None
    kind: Annotated[str | None, option(f"only papers of this kind: {', '.join(KINDS)}", metavar="KIND")] = None

    def __call__(self) -> int:
        """Print one row a paper."""
        papers = select(family=self.family, role=self.role, status=self.status, kind=self.kind)
        found = {slug: one.outcome for slug, one in all_shipped().items()}
        if self.json:
            show_json([asdict(paper) | {"verdict": found.get(paper.slug)} for paper in papers])
            return 0
        rows = [(p.slug, found.get(p.slug, p.status), p.family, p.kind, " ".join(p.roles)) for p in papers]
        show(table(("study", "verdict", "family", "kind", "roles"), rows))
        ready = sum(paper.status == "ready" for paper in papers)
        print(f"{len(papers)} papers, {ready} of them ready to run; what one is about: lifelong show STUDY")
        return 0


@dataclass(frozen=True, kw_only=True)
class Show(Command):
    """Show what is known of a study: its paper, its claim, and what its runs found."""

    slug: Annotated[str, option("the study, as `lifelong list` names it", metavar="STUDY")]
    full: Annotated[bool, option("load the study: question, arms, settings, grids (takes seconds)")] = False
    out: Out = None

    def __call__(self) -> int:
        """Print the catalogue's entry, the study if asked for, the stored findings, the reference."""
        paper = entry(self.slug)
        runs, own = [recorded(folder) for folder in runs_of(paper.slug, self.out)], shipped(paper)
        study = self._study(paper)
        if self.json:
            content = asdict(paper) | {"bibtex": bibtex(paper), "runs": [_run_facts(run) for run in runs]}
            content |= {"shipped": own and _shipped_facts(own)}
            show_json(content | {"study": study and plain_study(study)})
            return 0
        show(_paper_facts(paper))
        if study:
            show("", *_study_tables(study))
        self._show_runs(paper, runs, own)
        print(f"\n{bibtex(paper)}")
        return 0

    def _study(self, paper: Entry) -> "Study | None":
        if not self.full or paper.status != "ready":
            return None
        from lifelong import studies

        return studies.load(paper.slug)

    def _show_runs(self, paper: Entry, runs: list[Recorded], own: Shipped | None) -> None:
        if not runs and own is None:
            print(f"\nno runs in {self.out or default_folder()}" if paper.status == "ready" else "")
            return
        rows = []
        if own is not None:
            rows.append(("shipped", own.budget, own.settings["seeds"], own.outcome, own.findings["verdict"]["reason"]))
        for run in runs:
            verdict = run.findings["verdict"] if run.findings else {"outcome": "unfinished", "reason": ""}
            rows.append((run.folder.name, run.budget, run.settings.get("seeds"), verdict["outcome"], verdict["reason"]))
        show("", table(("run", "budget", "seeds", "verdict", "why"), rows, numbers=("seeds",)))


@dataclass(frozen=True, kw_only=True)
class Cite(Command):
    """Print BibTeX records of papers."""

    slugs: Annotated[list[str], option("the studies whose papers to cite", nargs="*", metavar="STUDY")]
    all: Annotated[bool, option("cite every paper of the catalogue")] = False

    def __call__(self) -> int:
        """Print one record a paper."""
        if self.all == bool(self.slugs):
            raise BadInput("name the studies to cite, or give --all, and not both")
        papers = catalogue() if self.all else [entry(slug) for slug in self.slugs]
        if self.json:
            show_json({paper.slug: bibtex(paper) for paper in papers})
        else:
            print("\n\n".join(bibtex(paper) for paper in papers))
        return 0


def plain_study(study: "Study") -> dict[str, Any]:
    """Return what a study declares as plain values."""
    arms = {
        name: {"role": arm.role, "note": arm.note, "tune": arm.tune and {arm.tune.path: arm.tune.values}}
        for name, arm in study.arms.items()
    }
    return {
        "question": study.question,
        "arms": arms,
        "claim": asdict(study.claim),
        "secondary": [asdict(claim) for claim in study.secondary],
        "controls": [asdict(control) for control in study.controls],
        "measures": list(study.measures),
        "settings": dict(study.settings),
        "budgets": {name: dict(changes) for name, changes in study.budgets.items()},
        "tuning_seeds": study.tuning_seeds,
        "simplified": study.simplified,
    }


def _run_facts(run: Recorded) -> dict[str, Any]:
    verdict = run.findings["verdict"] if run.findings else None
    return {"folder": run.folder, "budget": run.budget, "settings": run.settings, "verdict": verdict}


def _shipped_facts(own: Shipped) -> dict[str, Any]:
    about = {"run": own.run, "budget": own.budget, "settings": own.settings, "seconds": own.seconds}
    return about | {"verdict": own.findings["verdict"], "secondary": own.findings["secondary"]}


def _paper_facts(paper: Entry) -> Any:
    arxiv = paper.arxiv and f"https://arxiv.org/abs/{paper.arxiv}"
    planned = "planned: what the catalogue says is all there is so far; the study is not written yet"
    return facts(
        {
            "study": paper.slug,
            "paper": f"{paper.title} ({paper.year})",
            "authors": ", ".join(paper.authors),
            "arxiv": arxiv,
            "family": f"{paper.family} ({FAMILIES[paper.family]})",
            "kind": paper.kind,
            "roles": ", ".join(paper.roles),
            "claim": paper.claim,
            "status": planned if paper.status == "planned" else f"{paper.status}: lifelong run {paper.slug}",
        }
    )


def _study_tables(study: "Study") -> list[Any]:
    """Return what a study declares as tables."""
    arms = [(name, arm.role, _grid(arm.tune), arm.note) for name, arm in study.arms.items()]
    budgets = list(study.budgets)
    settings = [
        (name, *(_short(study.budgets[budget].get(name, default)) for budget in budgets))
        for name, default in study.settings.items()
    ]
    declared = facts(
        {
            "question": study.question,
            "tested": claim_in_words(study.claim),
            "besides": "; ".join(claim_in_words(claim) for claim in study.secondary),
            "controls": "; ".join(_control_in_words(control) for control in study.controls),
            "tuning seeds": ", ".join(map(str, study.tuning_seeds)),
            "simplified": study.simplified,
        }
    )
    return [declared, "", table(("arm", "role", "tuned", "note"), arms), "", table(("setting", *budgets), settings)]


def claim_in_words(claim: "Claim") -> str:
    """Return a declared claim as a sentence."""
    direction = "higher" if claim.higher_is_better else "lower"
    least = f" by at least {claim.by:g}" if claim.by else ""
    knockout = f", and than the knock-out {claim.knockout}" if claim.knockout else ""
    return f"{claim.on} of {claim.better} is {direction} than that of {claim.than}{least}{knockout}"


def _control_in_words(control: "Control") -> str:
    """Return a declared sanity condition in words."""
    conditions = {"above that of": control.above, "at least": control.at_least, "at most": control.at_most}
    found = " and ".join(f"{words} {bound}" for words, bound in conditions.items() if bound is not None)
    return f"{control.on} of {control.arm} is {found}" + (f" ({control.because})" if control.because else "")


def _grid(tune: Any) -> str:
    return f"{tune.path}: {', '.join(f'{value:g}' for value in tune.values)}" if tune else ""


def _short(value: Any) -> str:
    return ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
