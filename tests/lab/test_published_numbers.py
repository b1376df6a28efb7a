"""Published numbers beside ours: the file of anchors, the band, and the page made of both."""

import json
import subprocess
import sys
from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest

from lifelong.errors import BadFile, UnknownName
from lifelong.lab._agreement import END, MARK, as_front_page, as_page, published
from lifelong.lab._anchors import (
    EPISODES,
    WORLDS,
    Anchor,
    Comparison,
    Measured,
    Source,
    anchors,
    chosen,
    compared,
    shipped,
    stored,
)

ROOT = Path(__file__).parents[2]


def source(**changes):
    about = {
        "title": "T",
        "file": "F",
        "mark": "R",
        "reading": 0.0,
        "spread": "sd",
        "runs": 4,
        "seeds": 4,
        "protocol": "P",
    }
    return Source(name="s", **about | changes)


def compare(values, mean=90.0, sd=2.0, **about):
    anchor = Anchor(source=source(**about), method="m", label="M", scenario="task", mean=mean, sd=sd)
    return Comparison(anchor=anchor, ours=Measured(accuracy=dict(enumerate(values)), about={}))


def test_the_band_is_three_standard_errors_of_both_means_in_either_direction():
    """Published 90 ± 2 of 4 runs: a standard error of 1. Ours ± 4 of 4 seeds: one of 2. Together √5."""
    ours = [-6.0, -2.0, 2.0, 6.0]  # a standard deviation of √(80/3) about 0
    spread = sqrt(80 / 3)
    values = [value * 4 / spread for value in ours]
    for shift, state in ((6.7, "inside"), (6.8, "outside"), (-6.7, "inside"), (-6.8, "outside")):
        one = compare([90 + shift + value for value in values])
        assert one.band == pytest.approx(3 * sqrt(5))
        assert one.difference == pytest.approx(shift)
        assert one.state == state


def test_the_band_is_never_narrower_than_a_point():
    exact = compare([91.0] * 4, sd=0.0)
    assert (exact.band, exact.state) == (1.0, "inside")
    assert compare([91.01] * 4, sd=0.0).state == "outside"


def test_what_was_read_from_a_figure_has_the_error_of_reading_it():
    assert compare([90.0] * 4, sd=None, reading=0.5).band == pytest.approx(1.5)
    assert compare([90.0] * 4, sd=2.0, reading=0.5).band == pytest.approx(3 * sqrt(1.25))


def test_a_standard_error_is_taken_as_it_is_given():
    assert compare([90.0] * 4, sd=2.0, spread="se").band == pytest.approx(6.0)


def test_one_value_may_have_a_standard_error_where_its_source_has_deviations():
    anchor = Anchor(source=source(), method="m", label="M", scenario="task", mean=90.0, se=2.0)
    one = Comparison(anchor=anchor, ours=Measured(accuracy=dict(enumerate([95.0] * 4)), about={}))
    assert (one.band, one.state, published(one)) == (pytest.approx(6.0), "inside", "90.00 ± 2.00")


def test_a_single_seed_adds_nothing_to_the_band_and_a_diverged_one_is_no_agreement():
    assert compare([90.0], sd=0.4).band == 1.0
    assert compare([90.0, None]).state == "diverged"
    assert Comparison(anchor=compare([1.0]).anchor, ours=None).state == "not measured"


ROWS = anchors()


def test_every_row_has_a_name_of_its_own_and_a_source_that_can_be_read():
    assert len({row.name for row in ROWS}) == len(ROWS) >= 45
    assert all(row.source.mark in ("R", "F", "Q") and row.source.spread in ("sd", "se", "none") for row in ROWS)
    percentages = [row for row in ROWS if row.scenario not in WORLDS]
    assert all(0 < row.mean <= 100 and row.scenario in ("task", "domain", "class", *EPISODES) for row in percentages)
    assert all((row.sd is None and row.se is None) == (row.source.spread == "none") for row in ROWS)
    assert not any(row.sd is not None and row.se is not None for row in ROWS)


def test_results_of_most_rows_are_shipped_and_of_none_that_cannot_be_lived():
    able = {row.name for row in ROWS if not row.unmeasured}
    assert set(shipped()) <= able and len(shipped()) >= 40


def test_methods_with_a_coefficient_have_the_published_one_in_every_scenario():
    """GT-RIPL/Continual-Learning-Benchmark, scripts/split_MNIST_incremental_*.sh, --reg_coef."""
    published = {
        "l2": (0.01, 0.5, 100),
        "ewc": (100, 100, 600),
        "online-ewc": (400, 700, 100),
        "si": (300, 3000, 600),
        "mas": (1, 10000, 1),
    }
    for method, coefficients in published.items():
        assert tuple(row.strength for row in chosen([f"hsu-2018/{method}"])) == coefficients
    others = [row for row in ROWS if row.method not in published]
    assert all(row.strength is None for row in others)


def test_what_lies_outside_has_a_reason():
    for one in compared(ROWS, Path("nowhere")):
        assert one.state != "outside" or one.anchor.outside, f"{one.anchor.name} lies outside, and nothing says why"
        assert one.state == "outside" or not one.anchor.outside, f"{one.anchor.name} does not lie outside"


def test_shipped_results_say_how_they_came_about():
    rows = shipped()
    assert set(rows) <= {row.name for row in ROWS}
    for name, row in rows.items():
        assert {"protocol", "steps", "run_seconds", "code", "jax", "device", "machine", "when"} <= set(row.about)
        agents = name.startswith("cleanrl/")
        assert agents or all(value is None or 0 < value <= 100 for value in row.accuracy.values())


def test_rows_are_chosen_by_the_beginning_of_their_name():
    assert [row.scenario for row in chosen(["hsu-2018/ewc"])] == ["task", "domain", "class"]
    assert len(chosen([])) == len(ROWS)
    assert {row.source.name for row in chosen(["van-de-ven-2022/"])} == {"van-de-ven-2022"}
    with pytest.raises(UnknownName, match="did you mean 'hsu-2018/ewc'"):
        chosen(["hsu-2018/ew"])
    with pytest.raises(UnknownName, match="did you mean 'hsu-2018'"):
        chosen(["hsu2018"])


def test_what_was_lived_here_is_shown_in_place_of_what_is_shipped(tmp_path):
    row = chosen(["hsu-2018/adam/class"])[0]
    (tmp_path / "anchors.json").write_text(json.dumps({row.name: {"accuracy": {"0": 50.0, "1": None}, "steps": 3}}))
    one = compared([row], tmp_path)[0]
    assert one.ours is not None and one.ours.accuracy == {0: 50.0, 1: None} and one.ours.about == {"steps": 3}


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"a": {"accuracy": {"x": 1}}}', '{"a": {}}'])
def test_a_corrupt_file_is_named(tmp_path, content):
    path = tmp_path / "anchors.json"
    path.write_text(content)
    with pytest.raises(BadFile, match=r"anchors\.json' is no readable file of anchors"):
        stored(path)
    assert path.read_text() == content


def test_the_page_of_the_documentation_is_the_generated_one():
    page = as_page(compared(ROWS, Path("nowhere")))
    assert (ROOT / "docs" / "anchors.md").read_text() == page, "write it anew: lifelong anchors show --markdown"


def test_the_table_of_the_front_page_is_the_generated_one():
    readme = (ROOT / "README.md").read_text()
    if MARK not in readme:
        pytest.skip("README.md shows no published numbers")
    shown = MARK + readme.split(MARK)[1].split(END)[0] + END + "\n"
    assert shown == as_front_page(compared(ROWS, Path("nowhere"))), "write it anew: lifelong anchors show --readme"


def test_the_front_page_has_a_line_a_method_and_counts_what_disagrees():
    outside = compare([95.0, 95.2], sd=0.1)
    unlived = Comparison(anchor=replace(outside.anchor, scenario="class"), ours=None)
    page = as_front_page([outside, unlived])
    assert "Of 2 published values 1 have been lived again; 0 agree (✓), 1 does not (✗)" in page
    assert "| T | task | class |\n|---|---:|---:|\n| M | 95.10 / 90.00 ✗ | – / 90.00 |" in page


def test_the_page_shows_what_is_outside_and_what_is_missing():
    rows = [compare([95.0, 95.2], sd=0.1), Comparison(anchor=compare([1.0]).anchor, ours=None)]
    page = as_page(rows)
    assert "| M | task | 90.00 ± 0.10 | 95.10 ± 0.14 | 2 | +5.10 | 1.00 | ✗ |" in page
    assert "| M | task | 90.00 ± 2.00 |  |  |  |  | not measured |" in page


def test_looking_never_loads_jax():
    code = "import sys, lifelong.cli; lifelong.cli.main(['anchors', 'show']); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0
