"""Help, the options of commands, and reading a command line back."""

import shlex
from pathlib import Path

import pytest
import tiny_study

from lifelong.cli import COMMANDS, EXIT_CODES
from lifelong.cli._options import command_line, parse
from lifelong.cli._running import Run

STUDY, OTHER = tiny_study.SLUGS
OPTIONS = {
    "list": ["--family", "--role", "--status", "--kind"],
    "show": ["--full", "--out"],
    "run": [
        *(
            "--budget",
            "--seeds",
            "--set",
            "--all",
            "--arms",
            "--on",
            "--block",
            "--out",
            "--force",
            "--dry-run",
            "--strict",
        )
    ],
    "report": ["--budget", "--seeds", "--set", "--out", "--markdown", "--open"],
    "verify": ["--all", "--out"],
    "ship": ["--all", "--source", "--to", "--out"],
    "compare": ["--out"],
    "export": ["--to", "--out", "--force"],
    "cite": ["--all"],
    "anchors": ["--markdown", "--readme", "--seeds", "--quick", "--force", "--strict", "--out"],
    "assess": [],
    "improve": [
        *("--problems", "--verifier", "--method", "--rounds", "--every", "--prompts", "--samples", "--learning-rate"),
        *("--tokens", "--context", "--k", "--seconds", "--seed", "--out"),
    ],
    "atlas": ["--results", "--out", "--docs"],
    "trace": [
        *("--models", "--folds", "--seed", "--out", "--most", "--student", "--skill", "--item", "--outcome", "--time"),
        *(
            "--attempt",
            "--separator",
            "--layout",
            "--time-unit",
            "--encoding",
            "--exam",
            "--attempts",
            "--pass-mark",
            "--anchors",
        ),
    ],
    "data": [],
    "doctor": ["--out"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_names_its_options(cli, name):
    code, out, err = cli(f"{name} --help")
    assert (code, err) == (0, "")
    assert all(option in out for option in [*OPTIONS[name], "--json"])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_options_its_help_must_name_and_no_more(cli, name):
    words = {word.strip("[](),.") for word in cli(f"{name} --help")[1].split()}
    assert {word for word in words if word.startswith("--")} == {*OPTIONS[name], "--json", "--help"}


@pytest.mark.parametrize("line", ["--help", "-h", "help"])
def test_help_names_commands_and_exit_codes(cli, line):
    code, out, _ = cli(line)
    assert code == 0
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert all(f"\n  {number} " in out for number in EXIT_CODES)


def test_nothing_is_not_a_command(cli):
    code, out, err = cli("")
    assert (code, out) == (2, "")
    assert "usage: lifelong" in err


def test_version(cli):
    code, out, _ = cli("--version")
    assert code == 0 and out.startswith("lifelong ")


def test_commands_document_their_exit_codes():
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    assert all(f"`lifelong {name}" in text for name in COMMANDS)
    assert all(f"| {number} |" in text for number in EXIT_CODES)


def test_a_command_line_can_be_read_back():
    given = ["uer", STUDY, "--budget", "smoke", "--set", "a=b c", "d=1", "--arms", "x,y", "--force"]
    run = parse(Run, "run", given)
    line = command_line(run, "run", without=("force",))
    again = parse(Run, "run", shlex.split(line)[2:])
    assert "--force" not in line
    assert again == parse(Run, "run", given[:-1]) != run
