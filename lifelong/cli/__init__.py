"""The command line: `lifelong list`, `show`, `run`, `report`, `verify`, `ship`, `compare`, `export`, `cite`, `anchors`,
`trace`, `assess`, `improve`, `atlas`, `data`, `doctor`.

Every command is a dataclass; its fields are the options, and argparse reads them. Tyro, which does the same from the
same dataclasses, was measured beside it on two cores: 0.13 s to import and 0.11 to 0.15 s to parse even one command,
against 0.03 s in all, where `list` and `show` are to answer in half a second and take 0.2 s as it is. For the same
reason no module here imports JAX, NumPy or rich before it is needed.
"""

import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from lifelong.errors import LifelongError, UnknownName

from ._options import Command, parse
from ._output import say

COMMANDS = {
    "list": "_catalogue.List",
    "show": "_catalogue.Show",
    "run": "_running.Run",
    "report": "_running.Report",
    "verify": "_stored.Verify",
    "ship": "_shipping.Ship",
    "compare": "_stored.Compare",
    "export": "_export.Export",
    "cite": "_catalogue.Cite",
    "anchors": "_anchors.Anchors",
    "trace": "_tracing.Trace",
    "assess": "_assessing.Assess",
    "improve": "_improving.Improve",
    "atlas": "_atlas.Atlas",
    "data": "_data.Data",
    "doctor": "_doctor.Doctor",
}
"""The module and class of every command."""

EXIT_CODES = {
    0: "fine (for `run`: the study ran; the verdict is in the output)",
    1: "`verify` found a verdict that changed, or lives that other code lived; `assess` a design that contradicts itself",
    2: "bad input or a bad file; one sentence on standard error says which, and how to mend it",
    3: "`run --strict` found a verdict other than supported, `anchors --strict` a row outside its band",
    70: "a fault of lifelong itself, shown as a traceback: please report it, with what `lifelong doctor` prints",
    130: "interrupted; what was lived is saved",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows another
    try:
        return _answer(arguments)
    except SystemExit as done:  # argparse has shown the help
        return int(done.code or 0)
    except LifelongError as error:
        say(f"lifelong: {' '.join(str(error).split())}")
        return 2
    except KeyboardInterrupt:
        say("lifelong: interrupted")
        return 130
    except BrokenPipeError:  # the reader has seen enough, as in `lifelong list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # Python's own exit code would be 1, which `verify` has given a meaning
        traceback.print_exc()
        return 70


def _answer(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"lifelong {version('lifelong')}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        known = [*COMMANDS, "--help", "--version"] if name.startswith("-") else COMMANDS
        raise UnknownName("option" if name.startswith("-") else "command", name, known)
    code = parse(_command(name), name, rest)()
    sys.stdout.flush()
    return code


def _command(name: str) -> type[Command]:
    module, kind = COMMANDS[name].split(".")
    return getattr(import_module(f".{module}", __name__), kind)


def usage() -> str:
    """Return the help of the whole."""
    commands = [f"  {name:<9}{(_command(name).__doc__ or '').splitlines()[0]}" for name in COMMANDS]
    codes = [f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES.items()]
    return "\n".join(
        [
            "usage: lifelong COMMAND [OPTION ...]",
            "\nRun papers about learning over time, and read what they found.",
            "\ncommands:",
            *commands,
            "\nEvery command takes --json, and --help for its options.",
            "Results go to standard output, progress to standard error.",
            "\nexit codes:",
            *codes,
        ]
    )
