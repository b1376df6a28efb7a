"""Names of a package that are loaded when first used, so that importing the package costs nothing."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, homes: Mapping[str, tuple[str, ...]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__`, given which of its modules has which names.

    An unknown name raises `AttributeError`, which says what may have been meant.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def load(name: str) -> Any:
        if name in homes:
            return import_module(f".{name}", package)
        if name in home_of:
            return getattr(import_module(f".{home_of[name]}", package), name)
        from .errors import suggestion

        raise AttributeError(f"module '{package}' has no attribute '{name}'{suggestion(name, home_of)}")

    def listed() -> list[str]:
        private = (name for name in vars(sys.modules[package]) if name.startswith("_"))
        return sorted({*private, *home_of, *(home for home in homes if not home.startswith("_"))})

    return load, listed
