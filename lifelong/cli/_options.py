"""Commands as typed dataclasses, whose fields argparse reads."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from lifelong.errors import BadInput, UnknownName

SEVERAL = {"nargs": "+", "action": "extend"}
"""What makes an option take several values, and be given several times."""


def option(help: str, **how: Any) -> dict[str, Any]:
    """Describe a field, within `Annotated`; `how` goes to argparse (`type`, `nargs`, `metavar`).

    A field without default is given by its place, one whose default is False is switched on by `--name`, any other is
    given as `--name VALUE`.
    """
    return {"help": help, **how}


def whole_number(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a whole number was expected, and '{text}' came") from None


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a number was expected, and '{text}' came") from None


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: its fields are its options, its docstring is its help, and calling it does the work."""

    json: Annotated[bool, option("print the result as JSON")] = False

    def __call__(self) -> int:
        """Do what the command is for and return the exit code."""
        raise NotImplementedError


_Command = TypeVar("_Command", bound=Command)

Out = Annotated[
    Path | None, option("where runs are kept (default: $LIFELONG_RUNS, or ./runs)", type=Path, metavar="DIR")
]


def parse(command: type[_Command], name: str, arguments: Sequence[str]) -> _Command:
    """Return the command that the arguments ask for; raise `BadInput` or `UnknownName` where they make none."""
    parser = parser_of(command, name)
    values, unknown = parser.parse_known_intermixed_args(arguments)
    for argument in unknown:
        if argument.startswith("-"):
            raise UnknownName(f"option of `lifelong {name}`", argument.partition("=")[0], parser.options)
        raise BadInput(
            f"`lifelong {name}` takes no further argument, and '{argument}' came; see lifelong {name} --help"
        )
    return command(**vars(values))


def parser_of(command: type[Command], name: str) -> "Parser":
    """Return the parser of a command's fields."""
    parser = Parser(prog=f"lifelong {name}", description=command.__doc__, allow_abbrev=False)
    described = get_type_hints(command, include_extras=True)
    for one in _ordered(command):
        (how,) = described[one.name].__metadata__
        if one.default is MISSING:
            parser.add_argument(one.name, **how)
        elif one.default is False:
            parser.add_argument(_flag(one.name), action="store_true", **how)
        else:
            parser.add_argument(_flag(one.name), default=one.default, **how)
    return parser


def command_line(command: Command, name: str, without: Sequence[str] = ()) -> str:
    """Return what to type for a command, but for some of its options."""
    words = ["lifelong", name]
    for one in _ordered(command):
        value = getattr(command, one.name)
        if one.name in without or value == one.default:
            continue
        if one.default is not MISSING:
            words.append(_flag(one.name))
        words += [] if value is True else value if isinstance(value, list) else [str(value)]
    return shlex.join(words)


def _ordered(command: Command | type[Command]) -> list[Field]:
    """Return what is given by its place before the options, and what all commands share last."""
    return sorted(fields(command), key=lambda one: (one.default is not MISSING, one.name == "json"))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors of this library."""

    @property
    def options(self) -> list[str]:
        """Every option it knows."""
        return [word for action in self._actions for word in action.option_strings]

    def error(self, message: str) -> Any:
        """Raise `BadInput`."""
        raise BadInput(f"{message.removeprefix('argument ')} (see {self.prog} --help)")
