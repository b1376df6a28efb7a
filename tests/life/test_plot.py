import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lifelong.errors import BadInput, UnknownName
from lifelong.life import Life, Result
from lifelong.life._plot import COLOURS, INK, SHADES, STYLES, Picture

TASKS, EVERY = 3, 4


def life(seeds=4, sweep=None, told=True, diverged=(), **changes) -> Life:
    """Return a life of three tasks with twelve exams, whose accuracies are drawn from a generator."""
    dims = {**(sweep or {}), "seed": np.arange(seeds)}
    lanes = int(np.prod([len(values) for values in dims.values()]))
    steps = 10 * np.arange(TASKS * EVERY + 1)
    accuracy = np.random.default_rng(0).random((lanes, len(steps), TASKS)).astype(np.float32)
    accuracy[list(diverged), 5:] = np.nan
    parts = {
        "dims": dims,
        "exams": {"accuracy": accuracy},
        "records": {},
        "exam_steps": steps,
        "record_steps": np.zeros(0, int),
        "ends": 10 * EVERY * np.arange(1, TASKS + 1) if told else np.zeros(0, int),
        "exam_dims": {"accuracy": ("task",)},
        "results": [Result.diverged if lane in diverged else Result.finished for lane in range(lanes)],
        "diverged_at": np.where(np.isin(np.arange(lanes), diverged), 50, -1),
        "state": None,
    }
    return Life(**{**parts, **changes})


def numbers(ax):
    """Return the numbers written in a heat map, row by row, and how opaque each is."""
    texts = {text.get_position(): text for text in ax.texts}
    places = [[(i + 0.5, k + 0.5) for i in range(TASKS)] for k in range(TASKS)]
    return (
        [[texts[place].get_text() for place in row] for row in places],
        [[texts[place].get_alpha() for place in row] for row in places],
    )


def test_the_matrix_shows_means_over_seeds_and_mutes_later_tasks():
    lived = life()
    (ax,) = lived.plot.matrix().axes
    shown, opacity = numbers(ax)
    assert shown == [[f"{100 * value:.0f}" for value in row] for row in lived.matrix.mean(0)]
    assert opacity == [[1.0 if i <= k else 0.6 for i in range(TASKS)] for k in range(TASKS)]
    shades = np.ma.filled(ax.collections[0].get_array(), np.nan).reshape(TASKS, TASKS)
    np.testing.assert_array_equal(np.isnan(shades), np.triu(np.ones((TASKS, TASKS)), 1))
    assert ax.yaxis_inverted()


def test_curves_have_a_line_for_every_seed_and_a_thick_one_for_their_mean():
    lived = life(seeds=5)
    (ax,) = lived.plot.curves().axes
    thin = [line for line in ax.lines if line.get_linewidth() == 0.5]
    thick = [line for line in ax.lines if line.get_linewidth() > 1]
    assert (len(thin), len(thick)) == (5 * TASKS, TASKS)
    for task, line in enumerate(thick):
        np.testing.assert_allclose(line.get_ydata(), lived.exams["accuracy"].mean(0)[:, task], rtol=1e-6)
        np.testing.assert_array_equal(line.get_xdata(), lived.exam_steps)
    ends = [line.get_xdata()[0] for line in ax.lines if line.get_linewidth() == 0.6]
    assert ends == list(lived.ends)


def test_swept_values_have_panels_of_their_own():
    values = np.array([0.0, 10.0])
    lived = life(sweep={"memory.strength": values})
    first, second = lived.plot.matrix().axes
    assert [first.get_title(), second.get_title()] == ["strength = 0", "strength = 10"]
    for ax, own in zip((first, second), lived.matrix, strict=True):
        assert numbers(ax)[0] == [[f"{100 * value:.0f}" for value in row] for row in own.mean(0)]


@pytest.mark.parametrize(("count", "titles"), [(7, "0 1 2 4 5 6"), (40, "0 8 16 23 31 39"), (6, "0 1 2 3 4 5")])
def test_of_many_swept_values_six_are_drawn_evenly_spread(count, titles):
    lived = life(seeds=2, sweep={"rate": np.arange(float(count))})
    picture = lived.plot.curves()
    assert " ".join(ax.get_title().removeprefix("rate = ") for ax in picture.axes) == titles
    assert picture.get_suptitle() == (f"6 of {count} swept values" if count > 6 else "")


def test_two_swept_dimensions_are_combined():
    lived = life(seeds=2, sweep={"a": np.arange(2.0), "b": np.arange(2.0)})
    titles = [ax.get_title() for ax in lived.plot.matrix().axes]
    assert titles == ["a = 0, b = 0", "a = 0, b = 1", "a = 1, b = 0", "a = 1, b = 1"]


def test_lines_differ_in_pattern_as_well_as_in_colour():
    assert len({str(style) for style in STYLES}) == len(set(COLOURS)) == len(STYLES) == len(COLOURS)
    lines = [line for line in life().plot.curves().axes[0].lines if line.get_linewidth() > 1]
    patterns = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in lines}
    assert len({pattern for _, pattern in patterns}) == len(lines)


def test_every_colour_can_be_seen_on_white_and_on_black():
    for colour in COLOURS:
        assert min(contrast(to_rgb(colour), ground) for ground in ((1, 1, 1), (0.07, 0.07, 0.07))) >= 3


def test_numbers_can_be_read_on_every_shade():
    for ground, ink in (((1.0,) * 3, to_rgb(INK)), ((0.07,) * 3, (0.9,) * 3)):
        for shade in SHADES(np.linspace(0, 1, 20)):
            cell = shade[3] * shade[:3] + (1 - shade[3]) * np.array(ground)
            assert contrast(ink, cell) >= 4.5


def contrast(a, b):
    """Return the contrast ratio of two colours as WCAG 2 defines it."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_a_life_without_ends_of_tasks_has_curves_but_no_matrix():
    lived = life(told=False)
    with pytest.raises(BadInput, match="no announced ends of tasks"):
        lived.plot.matrix()
    assert len(lived.plot.curves().axes) == 1
    assert "undefined: no ends of tasks were announced" in lived._repr_html_()


def test_an_exam_result_that_does_not_exist_is_named():
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        life().plot.curves("acuracy")


def test_results_of_other_shapes_can_be_drawn():
    lived = life()
    lived.exams["return"] = np.arange(4 * 13.0).reshape(4, 13)
    lived.exams["answered"] = np.zeros((4, 13, 2, 3))
    assert lived.plot.curves("return").axes[0].get_legend_handles_labels()[1] == ["1"]
    assert not lived.plot.curves("return").legends
    assert len(lived.plot.curves("answered").axes[0].get_legend_handles_labels()[1]) == 6


def test_diverged_lanes_leave_gaps_and_are_counted():
    lived = life(diverged=(1,))
    mean = next(line for line in lived.plot.curves().axes[0].lines if line.get_linewidth() > 1)
    kept = lived.exams["accuracy"][[0, 2, 3]]
    np.testing.assert_allclose(mean.get_ydata()[5:], kept.mean(0)[5:, 0], rtol=1e-6)
    page = lived._repr_html_()
    assert "1 of 4 lanes undefined" in page
    assert "4: 3 finished, 1 diverged" in page


def test_a_life_of_which_nothing_is_left_still_has_pictures():
    lived = life(seeds=2, diverged=(0, 1))
    assert numbers(lived.plot.matrix().axes[0])[0][-1] == ["–"] * TASKS
    assert "undefined on every lane" in lived._repr_html_()


def test_one_lane_has_no_interval():
    assert re.search(r"<td>\d+\.\d % on one lane</td>", life(seeds=1)._repr_html_())


def test_the_page_shows_the_estimates_of_every_swept_value():
    lived = life(sweep={"rate": np.array([0.1, 0.2])})
    page = lived._repr_html_()
    for value, final in zip((0.1, 0.2), lived.final, strict=True):
        assert f"<th>final accuracy, rate = {value}</th><td>{100 * final.mean():.1f} % (" in page


def test_a_life_interrupted_before_its_first_exam_can_be_shown():
    nothing = {"exams": {}, "exam_steps": np.zeros(0, int), "ends": np.zeros(0, int)}
    assert "4 interrupted" in life(results=4 * [Result.interrupted], **nothing)._repr_html_()


def test_notebooks_show_text_in_their_own_colour():
    page = life(seeds=2)._repr_html_()
    assert INK not in page
    assert page.count("<svg") == 2
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        root = ElementTree.fromstring(svg)
        assert [text for text in root.iter("{http://www.w3.org/2000/svg}text") if text.text.strip() == "task"]
        assert "currentColor" in svg
        assert "fill: #ffffff" not in svg


def test_a_picture_is_the_same_each_time_it_is_drawn():
    assert life(seeds=2).plot.curves()._repr_html_() == life(seeds=2).plot.curves()._repr_html_()


def test_pictures_can_be_saved_and_need_no_pyplot(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    picture = life(seeds=2).plot.curves()
    assert isinstance(picture, Picture)
    picture.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert len(life(seeds=2)._repr_html_()) > 1000
