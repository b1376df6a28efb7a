"""One family of errors: catchable as one, and as what Python programmers expect."""

import pytest

from lifelong import errors
from lifelong.errors import BadFile, BadInput, LifelongError, Mismatch, MissingExtra, UnknownName, suggestion


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (BadInput("x"), ValueError),
        (BadFile("x"), OSError),
        (Mismatch("x"), TypeError),
        (UnknownName("study", "x", ()), KeyError),
        (MissingExtra("reading Parquet", "pyarrow", "parquet"), ImportError),
    ],
)
def test_every_error_is_one_of_the_family_and_of_its_builtin_kind(error, builtin):
    assert isinstance(error, LifelongError) and isinstance(error, builtin)


def test_no_error_of_the_family_is_left_out_above():
    of_family = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, LifelongError)]
    assert set(of_family) == {LifelongError, BadInput, BadFile, Mismatch, UnknownName, MissingExtra}


@pytest.mark.parametrize("kind", [LifelongError, BadInput, BadFile, Mismatch])
def test_an_error_reads_as_its_sentence(kind):
    """A bare KeyError would print its sentence in quotation marks, an OSError perhaps a number."""
    assert str(kind("the sentence")) == "the sentence"
    assert str(kind()) == ""


def test_an_unknown_name_is_told_with_the_nearest_known_one():
    assert str(UnknownName("world", "Splt", ["Split", "Transformed"])) == (
        "there is no world named 'Splt'; did you mean 'Split'?"
    )


def test_where_nothing_is_near_the_few_known_names_are_listed_and_many_are_not():
    assert suggestion("qqq", ["b", "a"]) == "; known: a, b"
    assert suggestion("qqq", [f"name{i}" for i in range(21)]) == ""
    assert suggestion("qqq", []) == ""


def test_a_missing_package_is_told_with_the_command_that_installs_it():
    assert "pip install 'lifelong[parquet]'" in str(MissingExtra("reading Parquet", "pyarrow", "parquet"))
