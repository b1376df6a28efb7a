"""What a run is going to live: studies, their arms, blocks of their seeds, and what those may cost."""

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import lifelong.lab as lab


class Plan(NamedTuple):
    """A study to be lived: how, which arms, and where its results go."""

    study: "lab.Study"
    budget: str
    changes: Mapping[str, Any]
    arms: tuple[str, ...]
    out: Path | None

    @property
    def settings(self) -> "lab.Settings":
        """The settings under which it is lived."""
        return self.study.configured(self.budget, self.changes)

    @property
    def store(self) -> "lab.Store":
        """Where its results are kept."""
        from lifelong import lab

        return lab.Store.of(self.study, self.settings, self.out)

    def missing(self) -> dict[str, list[int]]:
        """Return the seeds of every arm that are not stored yet."""
        from lifelong.lab._store import missing_seeds

        store, seeds = self.store, range(self.settings.seeds)
        return {arm: missing_seeds(store.load(arm), seeds) for arm in self.arms}

    def forget(self) -> None:
        """Remove what was lived of it."""
        for arm in self.arms:
            self.store.forget(arm)

    def blocks(self, size: int | None) -> list["Block"]:
        """Return what is still to be lived, at most `size` seeds of an arm a block."""
        from lifelong.lab._job import blocks

        cut = {arm: blocks(seeds, size) for arm, seeds in self.missing().items()}
        return [self._block(arm, seeds, 1 / len(every)) for arm, every in cut.items() for seeds in every]

    def _block(self, arm: str, seeds: tuple[int, ...], share: float) -> "Block":
        grid = self.study.arms[arm].tune
        tuned = grid is None or len(grid.values) < 2 or self.store.chosen(arm) is not None
        cost = share * costs(self.study.slug).get(arm, inf)
        return Block(self.study.slug, self.budget, dict(self.changes), self.out, arm, seeds, tuned, cost)


class Block(NamedTuple):
    """Some seeds of one arm of one study: what can be lived apart from all else. Without seeds its arm is only tuned."""

    slug: str
    budget: str
    changes: dict[str, Any]
    out: Path | None
    arm: str
    seeds: tuple[int, ...]
    tuned: bool
    cost: float

    def live(self) -> None:
        """Live what is missing of the block, and store it."""
        from lifelong import lab, studies
        from lifelong.lab._job import Job

        study = studies.load(self.slug)
        settings = study.configured(self.budget, self.changes)
        store = lab.Store.of(study, settings, self.out)
        store.prepare()
        job = Job(study, settings, store)
        if self.seeds:
            job.live_block(self.arm, self.seeds)
        else:
            job.tune(self.arm)

    def tuning(self) -> "Block":
        """Return the block that only chooses the hyperparameter of this one's arm."""
        return self._replace(seeds=(), cost=inf)

    def __str__(self) -> str:
        """Say which study, arm and seeds."""
        return f"{self.slug}: {self.arm}, " + (f"seeds {self.seeds[0]} to {self.seeds[-1]}" if self.seeds else "tuning")


def blocks_of(plans: Sequence[Plan], size: int | None) -> list[Block]:
    """Return what is still to be lived of some plans, the dearest first: so no long one is left for the end."""
    return sorted((block for plan in plans for block in plan.blocks(size)), key=lambda block: -block.cost)


def costs(slug: str) -> dict[str, float]:
    """Return the seconds that the arms of a study took in full, compiling included, where a result came with the library."""
    from lifelong.lab._catalogue import entry
    from lifelong.lab._shipped import shipped

    one = shipped(entry(slug))
    about = {arm: life["about"] for arm, life in one.lives.items()} if one else {}
    return {arm: own.get("run_seconds", 0.0) + own.get("compile_seconds", 0.0) for arm, own in about.items()}


def cost(slug: str) -> float:
    """Return the seconds that a study took in full; infinity where that is not known."""
    return sum(costs(slug).values()) or inf
