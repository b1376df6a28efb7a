"""Outcomes and times as people write them, read as numbers; what cannot be read is NaN, never a guess."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import numpy as np
from jaxtyping import Float

RIGHT = frozenset(("1", "true", "t", "yes", "y", "correct", "right", "ok", "pass", "passed"))
WRONG = frozenset(("0", "false", "f", "no", "n", "incorrect", "wrong", "error", "fail", "failed", "hint"))
"""A hint asked for before the answer counts as wrong, as it does in DataShop."""

STUDIED = frozenset(("", "-1", "na", "n/a", "nan", "none", "null", "study", "studied", "view", "viewed", "read"))

PARTIAL, UNREADABLE = 2, 3
"""Codes beside 1, 0 and −1: credit between 0 and 1, and words that are no outcome."""

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Seconds in a unit of time."""

DATES = ("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y")
"""Dates whose first number may be a month or a day."""

FORMATS = (
    *(f"{date}{clock}" for clock in (" %H:%M:%S", " %H:%M", "", " %I:%M:%S %p", " %I:%M %p") for date in DATES),
    *("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d"),
    *("%d-%b-%Y %H:%M:%S", "%a, %d %b %Y %H:%M:%S %z"),
)
"""Ways to write a time, besides ISO 8601, in the order in which they are tried."""

SAMPLE = 1000
"""Words by which the way to read times is chosen."""

UNTOLD = frozenset(("", "na", "n/a", "nan", "nat", "none", "null"))
"""What stands where no time was kept."""

PLAIN = frozenset("0123456789-:. T")
"""What times without an offset are written in; NumPy reads these, and fast."""


def outcome_of(word: str) -> int:
    """Return 1, 0, −1 (ungraded), `PARTIAL` or `UNREADABLE`."""
    plain = word.strip().lower()
    for words, code in ((RIGHT, 1), (WRONG, 0), (STUDIED, -1)):
        if plain in words:
            return code
    try:
        number = float(plain)
    except ValueError:
        return UNREADABLE
    if number in (0.0, 1.0, -1.0):
        return int(number)
    return PARTIAL if 0 < number < 1 else UNREADABLE


Reader = Callable[[Sequence[str]], np.ndarray]


class Times:
    """Reads times piece by piece, in the one way that suits the first piece best, and remembers which that was.

    They are numbers in a unit (the one given, else told by their size, as counts since 1970), ISO 8601, or one of
    `FORMATS`; of readings with the month or the day first that suit as well, the one that spans less time. The result is
    in seconds, NaN where a time cannot be read.
    """

    def __init__(self, unit: str | None = None):
        self.unit, self.way = unit, ""
        self.reader: Reader | None = None

    def read(self, words: Sequence[str]) -> Float[np.ndarray, " rows"]:
        """Return the seconds of every word."""
        if self.reader is None:
            told = [word for word in words if word.strip().lower() not in UNTOLD]
            if not told:
                return np.full(len(words), np.nan)
            self.reader = self._choose(told)
        return self.reader(words)

    def _choose(self, words: Sequence[str]) -> Reader:
        sample = words[:SAMPLE]
        numbers = _numbers(sample)
        if np.isfinite(numbers).any() and np.isfinite(numbers).mean() >= 0.5:
            unit = self.unit or _unit_of(float(np.nanmedian(np.abs(numbers))))
            self.way = f"times are numbers in {unit}"
            return lambda words: _numbers(words) * UNITS[unit]
        readers: dict[str, Reader] = {"ISO 8601": _iso} | {form: partial(_formatted, form=form) for form in FORMATS}
        if np.isfinite(_iso(sample)).mean() > 0.9:
            readers = {"ISO 8601": _iso}
        read = {way: int(np.isfinite(reader(sample)).sum()) for way, reader in readers.items()}
        best = max(read, key=lambda way: read[way])
        rivals = [way for way in read if read[way] == read[best] > 0 and way.startswith(DATES)]
        if len(rivals) > 1:
            best = _likelier(words, *rivals)
        self.way = f"times are read as {best}" if read[best] else "no time could be read"
        return readers[best]


def _likelier(words: Sequence[str], *forms: str) -> str:
    """Return the form that reads more of the words, and of forms that read as many that which spans less time."""
    once = list(dict.fromkeys(words))
    seconds = [_formatted(once, form) for form in forms]
    ranks = [(np.isfinite(read).sum(), -np.ptp(read[np.isfinite(read)])) for read in seconds]
    return forms[ranks.index(max(ranks))]


def _unit_of(size: float) -> str:
    """Return the unit in which a count since 1970 has this size."""
    return next(unit for unit, least in (("ns", 1e17), ("us", 1e14), ("ms", 1e11), ("s", -1.0)) if size > least)


def _numbers(words: Sequence[str]) -> np.ndarray:
    try:
        return _finite(np.array(words, dtype=np.float64))
    except ValueError:
        return _finite(np.array([number_of(word) for word in words]))


def _finite(numbers: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(numbers), numbers, np.nan)


def number_of(word: str) -> float:
    """Return the number that a word writes, NaN where it is none."""
    try:
        return float(word)
    except ValueError:
        return math.nan


def _iso(words: Sequence[str]) -> np.ndarray:
    """Return seconds of ISO 8601 times; without an offset they are taken as UTC."""
    joined = "".join(words)
    if "UTC" in joined:
        words = [word.strip().removesuffix(" UTC") for word in words]
        joined = "".join(words)
    dated = sum(bool(word.strip()) for word in words)
    if set(joined) <= PLAIN and joined.count("-") == 2 * dated:
        try:
            moments = np.array(words, dtype="datetime64[us]")
            return np.where(np.isnat(moments), np.nan, moments.astype(np.float64) / 1e6)
        except ValueError:
            pass
    return np.array([_stamp(word, datetime.fromisoformat) for word in words], np.float64)


def _formatted(words: Sequence[str], form: str) -> np.ndarray:
    return np.array([_stamp(word, lambda word: datetime.strptime(word, form)) for word in words], np.float64)


def _stamp(word: str, read: Callable[[str], datetime]) -> float:
    try:
        moment = read(word.strip())
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
