"""`lifelong list`, `show`, `cite`."""

import shlex
import time

import pytest
import tiny_study

from lifelong.lab import bibtex, catalogue, entry, select

STUDY, OTHER = tiny_study.SLUGS


def test_list_shows_every_paper_in_a_hundred_columns(cli):
    code, out, err = cli("list")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    for paper in catalogue():
        (line,) = [line for line in lines if line.split()[:1] == [paper.slug]]
        assert line.split()[1] == paper.status and paper.family in line and " ".join(paper.roles) in line


@pytest.mark.parametrize(
    "filters",
    [{"family": "agents"}, {"role": "exam"}, {"status": "planned"}, {"kind": "survey", "family": "continual"}],
)
def test_list_filters(cli, as_json, filters):
    line = "list " + " ".join(f"--{name} {value}" for name, value in filters.items())
    expected = [paper.slug for paper in select(**filters)]
    assert 0 < len(expected) < 106
    assert [paper["slug"] for paper in as_json(line)] == expected
    assert f"{len(expected)} papers" in cli(line)[1]


def test_show_tells_what_the_catalogue_knows_of_a_planned_study(cli, as_json):
    paper = select(status="planned")[0]
    code, out, _ = cli(f"show {paper.slug} --full")
    assert code == 0
    assert "planned: " in out and paper.claim.split()[-1] in out and bibtex(paper) in out
    content = as_json(f"show {paper.slug}")
    assert content["claim"] == paper.claim and content["study"] is None and content["runs"] == []


def test_show_tells_stored_verdicts(cli, as_json):
    assert "no runs in" in cli(f"show {STUDY}")[1]
    cli(f"run {STUDY}")
    (run,) = as_json(f"show {STUDY}")["runs"]
    assert run["verdict"]["outcome"] == "supported" and run["budget"] == "full" and run["settings"]["seeds"] == 8
    assert "supported" in cli(f"show {STUDY}")[1]


def test_show_in_full_loads_the_study(cli, as_json):
    code, out, _ = cli(f"show {STUDY} --full")
    assert code == 0
    controls = "final_accuracy of joint is above that of finetune (it is the upper bound)"
    for words in (
        "Does replay help at all?",
        controls,
        "knock-out",
        "learner.memory.labels: 0.5, 1",
        "1000, 1001, 1002, 1003",
    ):
        assert words in out
    study = as_json(f"show {STUDY} --full")["study"]
    assert study["arms"]["replay"] == {
        "role": "method",
        "note": "replays labels",
        "tune": {"learner.memory.labels": [0.5, 1.0]},
    }
    assert study["budgets"]["smoke"] == {"seeds": 2} and study["claim"]["by"] == 0.05


def test_cite(cli, as_json):
    assert cli(f"cite {STUDY} {OTHER}")[1] == f"{bibtex(entry(STUDY))}\n\n{bibtex(entry(OTHER))}\n"
    assert cli("cite --all")[1].count("@misc{") == 106
    assert as_json(f"cite {STUDY}") == {STUDY: bibtex(entry(STUDY))}


@pytest.mark.parametrize("line", ["list", f"show {STUDY}", "cite --all", "data list", "run --help"])
def test_looking_does_not_load_jax(line, process):
    code = "import sys\nfrom lifelong.cli import main\nmain(sys.argv[1:])\nprint('LOADED', 'jax' in sys.modules)"
    began = time.perf_counter()
    out, err = process("-c", code, *shlex.split(line)).communicate(timeout=60)
    print(f"lifelong {line}: {time.perf_counter() - began:.2f} s")
    assert out.endswith("LOADED False\n"), err
