from xml.etree import ElementTree

import numpy as np
import pytest

from lifelong.lab._svg import (
    Curves,
    Row,
    Scale,
    curve_panel,
    drawing,
    heat_panel,
    path,
    strip_chart,
    tag,
    text,
    ticks,
)

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg):
    return ElementTree.fromstring(svg)


def of_class(root, name):
    return [one for one in root.iter() if name in one.get("class", "").split()]


def words(root):
    return [one.text for one in root.iter(f"{SVG}text")]


def places(path_of):
    """Return the points of a path."""
    return [tuple(map(float, point.split())) for point in path_of.get("d").replace("M", "L").split("L")[1:]]


def test_words_cannot_break_out_of_their_element():
    svg = drawing(10, 10, 'a "quoted" <label>', text(1, 2, "<b> & c"))
    root = parsed(svg)
    assert root.get("aria-label") == 'a "quoted" <label>'
    assert words(root) == ["<b> & c"]
    assert tag("a", x=1.04, class_="b", stroke_width=2) == '<a x="1" class="b" stroke-width="2"/>'


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0.12, 0.31, [0.15, 0.2, 0.25, 0.3]),
        (-3, 3, [-2, 0, 2]),
        (1e-5, 4e-5, [1e-5, 2e-5, 3e-5, 4e-5]),
    ],
)
def test_ticks_are_round_and_within(low, high, expected):
    np.testing.assert_allclose(ticks(low, high), expected)


def test_a_scale_leaves_air_around_what_is_finite():
    scale = Scale.around([1.0, 3.0, float("nan")], 0, 100)
    assert 0 < scale(1.0) < 10
    assert 90 < scale(3.0) < 100
    assert scale(2.0) == pytest.approx(50)
    for values in ([], [2.0], [0.0], [float("nan")]):
        assert 0 <= Scale.around(values, 0, 100)(values[0] if values and values[0] == values[0] else 0.5) <= 100


def test_a_path_skips_what_is_not_finite_and_what_repeats():
    d = parsed(path([[(0, 0), (0.01, 0.01), (1, 1), (float("nan"), 2), (3, 3), (4, 4)]], "thin")).get("d")
    assert d == "M0 0L1 1M3 3L4 4"


def test_a_strip_chart_draws_every_seed_where_it_belongs():
    rows = [Row("a", 2.0, (1.5, 2.5), {"seed 0": 1.0, "seed 1": 3.0}, {"seed 2": 0.0}, "2.0", True), Row("b", 5.0)]
    root = parsed(strip_chart(rows, "loss", "a chart", {"claimed": 4.0}))
    assert root.get("aria-label") == "a chart"
    dots = of_class(root, "dot")
    assert [dot.find(f"{SVG}title").text for dot in dots] == ["seed 0", "seed 1"]
    left, right = (float(dot.get("cx")) for dot in dots)
    unit = (right - left) / 2
    (low, _), (high, _) = places(of_class(root, "interval")[0])
    assert (low - left) / unit == pytest.approx(0.5, abs=0.01)
    assert (high - left) / unit == pytest.approx(1.5, abs=0.01)
    first, second = (places(mean)[0][0] for mean in of_class(root, "mean"))
    assert ((first - left) / unit, (second - left) / unit) == pytest.approx((1, 4), abs=0.01)
    assert (places(of_class(root, "mark")[0])[0][0] - left) / unit == pytest.approx(3, abs=0.01)
    assert len(of_class(root, "cross")) == 1
    assert {"a", "b", "2.0", "loss", "claimed"} <= set(words(root))


def test_zero_is_on_the_axis_where_it_is_asked_for():
    rows = [Row("a", 5.0, (4.0, 6.0))]
    assert not of_class(parsed(strip_chart(rows, "gain", "")), "zero")
    assert of_class(parsed(strip_chart(rows, "gain", "", with_zero=True)), "zero")


def test_long_names_are_cut():
    root = parsed(strip_chart([Row("x" * 60, 1.0, None, {"seed 0": 1.0})], "", ""))
    assert words(root)[-2] == "x" * 21 + "…"
    assert words(parsed(strip_chart([Row("x" * 50, 1.0)], "", "")))[-2] == "x" * 50


def test_curves_have_one_path_for_all_seeds():
    steps = np.array([10.0, 20.0, 30.0])
    thin = np.array([[1.0, 2.0, 3.0], [2.0, np.nan, 4.0]])
    curves = Curves(steps, thin, thin[0], (steps, thin[0]), np.array([20]))
    root = parsed(curve_panel(curves, (0, 10), "curves"))
    (both,) = of_class(root, "thin")
    assert both.get("d").count("M") == 3
    thick = places(of_class(root, "thick")[0])
    assert np.all(np.diff([x for x, _ in thick]) > 0)
    assert np.all(np.diff([y for _, y in thick]) < 0)
    assert places(of_class(root, "end")[0])[0][0] == pytest.approx(thick[1][0], abs=0.1)
    assert len(of_class(root, "ghost")) == 1


def test_a_longer_life_to_compare_with_ends_where_the_panel_ends():
    short, long = np.array([10.0, 20.0]), np.array([10.0, 20.0, 60.0])
    root = parsed(curve_panel(Curves(short, short[None], short, (long, long)), (0, 60), "curves"))
    assert len(places(of_class(root, "ghost")[0])) == 2


@pytest.mark.parametrize("tasks", [1, 5, 10])
def test_a_heat_map_writes_its_numbers_and_shades_what_was_learned(tasks):
    matrix = np.linspace(0, 1, tasks * tasks).reshape(tasks, tasks)
    learned = np.tri(tasks, dtype=bool)
    root = parsed(heat_panel(matrix, learned, ""))
    cells = [one for one in root.iter(f"{SVG}text") if one.get("text-anchor") == "middle"][: tasks * tasks]
    assert [cell.text for cell in cells] == [f"{100 * value:.0f}" for value in matrix.ravel()]
    assert [cell.get("class").startswith("ink") for cell in cells] == learned.ravel().tolist()
    shaded = sum(one.get("d").count("M") for one in of_class(root, "heat"))
    assert shaded == learned.sum()


def test_a_large_heat_map_stays_small_and_says_nothing_of_what_is_undefined():
    matrix = np.random.default_rng(0).random((40, 40))
    assert len(heat_panel(matrix, np.tri(40, dtype=bool), "")) < 30_000
    root = parsed(heat_panel(np.array([[np.nan]]), np.ones((1, 1), bool), ""))
    assert "–" in words(root)
    assert not of_class(root, "heat")
