import dataclasses
import itertools
import re
import subprocess
import sys

import pytest

from lifelong.errors import LifelongError, UnknownName
from lifelong.lab._catalogue import FAMILIES, KINDS, ROLES, STATUSES, Entry, bibtex, catalogue, entry, select

PAPERS = catalogue()
EACH_PAPER = pytest.mark.parametrize("paper", PAPERS, ids=[paper.slug for paper in PAPERS])
FILTERS = {"family": tuple(FAMILIES), "role": ROLES, "status": STATUSES, "kind": KINDS}
LONGEST_CLAIM = 160


def has(paper: Entry, name: str, value: str) -> bool:
    return value in paper.roles if name == "role" else getattr(paper, name) == value


def parse_bibtex(record: str) -> tuple[str, dict[str, str]]:
    key, body = re.fullmatch(r"@misc\{([^,\s]+),\n(.*)\n\}", record, re.DOTALL).groups()
    fields = {}
    for line in body.splitlines():
        name, value = re.fullmatch(r"  (\w+) = \{(.*)\},", line).groups()
        assert name not in fields
        fields[name] = re.sub(r"\\([&%$#_])", r"\1", value)
    return key, fields


def duplicates(values) -> set:
    values = list(values)
    return {value for value in values if values.count(value) > 1}


def test_there_are_106_papers_and_none_twice():
    assert len(PAPERS) == 106
    for name in ("slug", "title", "claim"):
        assert not duplicates(getattr(paper, name).casefold() for paper in PAPERS), name
    assert not duplicates(paper.arxiv for paper in PAPERS if paper.arxiv)


def test_families_stand_together_in_their_order():
    assert [family for family, _ in itertools.groupby(paper.family for paper in PAPERS)] == list(FAMILIES)


@EACH_PAPER
def test_every_field_is_valid(paper):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", paper.slug)
    assert paper.kind in KINDS
    assert paper.status in STATUSES
    assert paper.roles and set(paper.roles) <= set(ROLES) and not duplicates(paper.roles)
    assert type(paper.year) is int and 2015 <= paper.year <= 2026
    for text in (paper.title, *paper.authors):
        assert text and text == " ".join(text.split())
    assert all(re.fullmatch(r"[^,;{}]+ [^,;{}]+", name) for name in paper.authors)
    assert not duplicates(paper.authors)


@EACH_PAPER
def test_a_claim_is_one_short_sentence(paper):
    claim = paper.claim
    assert 20 <= len(claim) <= LONGEST_CLAIM
    assert claim[0].isupper() or claim[0].isdigit()
    assert claim.endswith(".") and claim.count(". ") == 0 and "\n" not in claim
    assert claim == " ".join(claim.split())


@EACH_PAPER
def test_arxiv_identifiers_are_well_formed_and_fit_the_year(paper):
    if paper.arxiv is None:
        pytest.skip("not known to be on arXiv")
    new_style = re.fullmatch(r"(\d\d)(0[1-9]|1[0-2])\.(\d{4,5})", paper.arxiv)
    old_style = re.fullmatch(r"[a-z-]+(?:\.[A-Z]{2})?/(\d\d)(0[1-9]|1[0-2])\d{3}", paper.arxiv)
    century = 1900 if old_style and int(old_style[1]) > 90 else 2000
    submitted = century + int((new_style or old_style)[1])
    if new_style:
        assert len(new_style[3]) == (5 if submitted >= 2015 else 4)
    assert abs(submitted - paper.year) <= 1


def test_entries_are_frozen_and_read_once():
    assert catalogue() is PAPERS
    with pytest.raises(dataclasses.FrozenInstanceError):
        PAPERS[0].status = "ready"


@EACH_PAPER
def test_entry_finds_each_paper_by_its_slug(paper):
    assert entry(paper.slug) is paper


def test_an_unknown_slug_suggests_the_nearest():
    with pytest.raises(
        UnknownName, match=r"no study named 'refresh-lerning'; did you mean 'refresh-learning'\?"
    ) as caught:
        entry("refresh-lerning")
    assert isinstance(caught.value, LifelongError) and isinstance(caught.value, KeyError)


def test_no_filter_selects_everything():
    assert select() == PAPERS


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in FILTERS.items() for value in values])
def test_one_filter_selects_exactly_the_papers_that_have_the_value(name, value):
    assert select(**{name: value}) == tuple(paper for paper in PAPERS if has(paper, name, value))


@pytest.mark.parametrize("value", [value for name in ("family", "role", "kind") for value in FILTERS[name]])
def test_no_family_role_or_kind_is_empty(value):
    assert any(has(paper, name, value) for paper in PAPERS for name in ("family", "role", "kind"))


def test_filters_combine_by_intersection():
    for family, role, kind in itertools.product(FAMILIES, ROLES, KINDS):
        expected = set(select(family=family)) & set(select(role=role)) & set(select(kind=kind))
        assert set(select(family=family, role=role, kind=kind)) == expected
    assert entry("psi-kt") in select("tracing", "exam", kind="method")


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_value_that_no_paper_could_have_is_refused(name):
    nearly = FILTERS[name][0] + "x"
    with pytest.raises(UnknownName, match=f"no {name} named '{nearly}'; did you mean '{FILTERS[name][0]}'"):
        select(**{name: nearly})


@EACH_PAPER
def test_bibtex_gives_back_what_the_catalogue_holds(paper):
    record = bibtex(paper)
    key, fields = parse_bibtex(record)
    assert record.count("{") == record.count("}")
    assert not re.search(r"(?<!\\)[&%$#_]", record)
    expected = {"title": f"{{{paper.title}}}", "year": str(paper.year)}
    if paper.authors:
        expected["author"] = " and ".join(paper.authors)
    if paper.arxiv:
        expected |= {"eprint": paper.arxiv, "archivePrefix": "arXiv"}
    assert key == paper.slug
    assert fields == expected


def test_bibtex_of_a_paper_with_nothing_but_a_title():
    bare = dataclasses.replace(PAPERS[0], slug="bare", title="A & B", arxiv=None, authors=(), year=2020)
    assert bibtex(bare) == "@misc{bare,\n  title = {{A \\& B}},\n  year = {2020},\n}"


def test_reading_the_catalogue_imports_nothing_heavy():
    program = (
        "import sys; from lifelong.lab._catalogue import catalogue; catalogue();"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "lifelong" in loaded
    assert not {"jax", "jaxlib", "numpy", "scipy", "equinox", "optax", "xarray", "matplotlib"} & set(loaded)
