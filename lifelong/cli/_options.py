"""Commands as typed dataclasses, whose fields argparse reads."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Protocol, TypeVar

from lifelong.errors import BadInput, UnknownName


class Command(Protocol):
    """A dataclass whose fields are the options of a command and whose docstring is its help; calling it does the work.

    The call returns the exit code.
    """

    __dataclass_fields__: dict[str, Any]

    def __call__(self) -> int:
        """Do what the command is for."""
        ...


_Command = TypeVar("_Command", bound=Command)


def option(help: str, default: Any = None, **how: Any) -> Any:
    """Declare a field that is given as `--name VALUE`; `how` goes to argparse (`type`, `nargs`, `metavar`)."""
    return field(default=default, metadata={"help": help, **how})


def flag(help: str) -> Any:
    """Declare a field that is switched on by `--name`."""
    return field(default=False, metadata={"help": help, "action": "store_true"})


def positional(help: str, **how: Any) -> Any:
    """Declare a field that is given by its place."""
    return field(metadata={"help": help, **how})


def whole_number(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a whole number was expected, and '{text}' came") from None


def names(text: str) -> tuple[str, ...]:
    """Read names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


@dataclass(frozen=True, kw_only=True)
class WithJson:
    """What every command has."""

    json: bool = flag("print the result as JSON")


def parse(command: type[_Command], name: str, arguments: Sequence[str]) -> _Command:
    """Return the command that the arguments ask for; raise `BadInput` or `UnknownName` where they make none."""
    parser = parser_of(command, name)
    values, unknown = parser.parse_known_intermixed_args(arguments)
    for argument in unknown:
        if argument.startswith("-"):
            raise UnknownName(f"option of `lifelong {name}`", argument.partition("=")[0], parser.options)
        raise BadInput(f"`lifelong {name}` takes no further argument, and '{argument}' came; see lifelong {name} --help")
    return command(**vars(values))


def parser_of(command: type[Command], name: str) -> "Parser":
    """Return the parser of a command's fields."""
    parser = Parser(prog=f"lifelong {name}", description=command.__doc__, allow_abbrev=False)
    for one in fields(command):  # type: ignore[arg-type]
        flags = [one.name] if one.default is MISSING else [_flag(one.name)]
        default = {} if one.default is MISSING else {"default": one.default}
        parser.add_argument(*flags, **default, **one.metadata)
    return parser


def command_line(command: Command, name: str, without: Sequence[str] = ()) -> str:
    """Return what to type for a command, but for some of its options."""
    words = ["lifelong", name]
    for one in fields(command):  # type: ignore[arg-type]
        value = getattr(command, one.name)
        if one.name in without or value == one.default:
            continue
        if one.default is not MISSING:
            words.append(_flag(one.name))
        if one.metadata.get("type") is names:
            value = ",".join(value)
        words += [] if value is True else map(str, value) if isinstance(value, list | tuple) else [str(value)]
    return shlex.join(words)


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
