"""Named logistic models: which features of the past each of them counts."""

from dataclasses import dataclass

import numpy as np

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from ._design import Features, beside, one_of, several_of
from ._logistic import Logistic
from ._past import Credit, before, earlier, entries, within

HOUR, DAY = 3600.0, 86400.0

WINDOWS = (HOUR, DAY, 7 * DAY, 30 * DAY, np.inf)
"""Time windows of DAS3H (Choffin et al. 2019, section 4.1)."""


@dataclass
class AFM(Logistic):
    """Additive factors: ln odds = θ + Σₖ (βₖ + γₖ·Tₖ) over the row's skills, T the attempts before (Cen et al. 2006).

    An ungraded row is an attempt. γ may be below 0, unlike in the paper.
    """

    ability = True

    def parts(self, log: PracticeLog, credit: Credit) -> dict[str, Features]:
        """Count attempts."""
        at, codes = entries(log), log.skill_codes
        attempts = at.table(before(credit.attempt, at), log)
        return {"skill": several_of(log.skill, codes), "attempts": several_of(log.skill, codes, attempts)}


@dataclass
class PFA(Logistic):
    """Performance factors: ln odds = Σₖ (βₖ + γₖ·sₖ + ρₖ·fₖ + υₖ·uₖ) over the row's skills (Pavlik et al. 2009).

    s, f and u are the right, wrong and ungraded attempts before; the paper has no ungraded ones.
    """

    def parts(self, log: PracticeLog, credit: Credit) -> dict[str, Features]:
        """Count successes and failures."""
        at, codes = entries(log), log.skill_codes
        ungraded = credit.attempt - credit.right - credit.wrong
        counts = {"right": credit.right, "wrong": credit.wrong, "ungraded": ungraded}
        return {"skill": several_of(log.skill, codes)} | {
            name: several_of(log.skill, codes, at.table(before(values, at), log)) for name, values in counts.items()
        }


@dataclass
class BestLR(Logistic):
    """The logistic regression that Gervet et al. 2020 ("When is Deep Learning the Best Approach…", section 3.1) found best.

    ln odds = −δᵢ + Σₖ (βₖ + γₖ·φ(sₖ) + ρₖ·φ(fₖ)) + γ·φ(s) + ρ·φ(f), with φ(x) = ln(1 + x), successes s and failures f
    at each skill and in all, and the item's difficulty δ.
    """

    def parts(self, log: PracticeLog, credit: Credit) -> dict[str, Features]:
        """Count successes and failures, at the skills and in all."""
        at, codes = entries(log), log.skill_codes
        found = {"item": one_of(log.item, log.item_codes), "skill": several_of(log.skill, codes)}
        for name, values in {"right": credit.right, "wrong": credit.wrong}.items():
            found[name] = several_of(log.skill, codes, np.log1p(at.table(before(values, at), log)))
            found[f"all {name}"] = one_of(np.zeros(len(log), int), 1, np.log1p(earlier(values, log)))
        return found


@dataclass
class DAS3H(Logistic):
    """Difficulty, ability, skills, and practice in time windows (Choffin et al. 2019).

    ln odds = θ − δᵢ + Σₖ (βₖ + Σ_w (θₖ_w·φ(c) + θ′ₖ_w·φ(a))), with φ(x) = ln(1 + x), the right attempts c and all
    attempts a at the skill within each window of an hour, a day, a week, 30 days and ever. Needs times.
    """

    ability = True

    def check(self, log: PracticeLog) -> None:
        """Refuse a log without times."""
        super().check(log)
        if not log.timed:
            raise BadInput(f"{log.name} has no times, which {self.name} counts in windows of; BestLR does without them")

    def parts(self, log: PracticeLog, credit: Credit) -> dict[str, Features]:
        """Count right and all attempts in every window."""
        at, codes = entries(log), log.skill_codes
        counts = [
            several_of(log.skill, codes, np.log1p(at.table(within(values, at, log, window), log)))
            for window in WINDOWS
            for values in (credit.right, credit.attempt)
        ]
        return {
            "item": one_of(log.item, log.item_codes),
            "skill": several_of(log.skill, codes),
            "windows": beside(*counts),
        }
