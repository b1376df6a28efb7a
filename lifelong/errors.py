"""One family of exceptions, so that one `except` catches every mistake a user can mend.

    LifelongError                 exit code 2
    ├── UnknownName               a study, arm, world, option … that does not exist (also a KeyError)
    ├── BadInput                  a value that cannot be used: a size, a shape, a label, a NaN (also a ValueError)
    ├── BadFile                   a file that is missing, truncated, corrupt, foreign or cannot be written (also an OSError)
    ├── MissingExtra              an optional package that is not installed (also an ImportError)
    └── Mismatch                  two parts that do not fit together (also a TypeError)

Every message says what was expected, what came, and how to mend it.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class LifelongError(Exception):
    """A mistake that its message explains; the command line prints it in one line and exits with code 2."""

    def __str__(self) -> str:
        """Return the sentence alone, whatever the second base class would make of it."""
        return str(self.args[0]) if self.args else ""


class UnknownName(LifelongError, KeyError):
    """A name that is not among the known ones; the message suggests the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        super().__init__(f"there is no {kind} named '{name}'{suggestion(name, known)}")


class BadInput(LifelongError, ValueError):
    """A value that cannot be used."""


class BadFile(LifelongError, OSError):
    """A file or folder that is missing, truncated, corrupt, foreign or not writable; it is never changed."""


class MissingExtra(LifelongError, ImportError):
    """An optional package that is not installed; the message names the command that installs it."""

    def __init__(self, purpose: str, package: str, extra: str):
        super().__init__(f"{purpose} needs the package '{package}': pip install 'lifelong[{extra}]'")


class Mismatch(LifelongError, TypeError):
    """Two parts that do not fit together, both named."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """End a sentence about an unknown name: the nearest known name, or all of them where they are few."""
    known = sorted(known)
    if near := get_close_matches(name, known, n=1, cutoff=0.5):
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= 20 else ""
