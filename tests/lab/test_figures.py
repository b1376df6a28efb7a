from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from miniature import drawn

from lifelong.lab import run
from lifelong.lab._figures import (
    counted,
    curve_figures,
    differences_figure,
    gains_over,
    known_so_far,
    matrix_figures,
    measure_figure,
    secondary_figures,
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(drawn(8, diverge=(3,)), out=tmp_path_factory.mktemp("figures"))


def test_the_gains_drawn_are_those_of_the_verdict(done):
    for other, effect in (("finetune", done.verdict.effect), ("no-labels", done.verdict.knockout_effect)):
        gains = gains_over(done, other)
        assert gains.mean() == pytest.approx(effect.mean)
        assert np.median(gains) == pytest.approx(effect.median)
    less = replace(done, study=replace(done.study, claim=replace(done.study.claim, higher_is_better=False)))
    worst = max(
        values["final_accuracy"][np.isfinite(values["final_accuracy"])].max() for values in done.measures.values()
    )
    assert counted(less, "replay", less.study.claim)[3] == worst


def test_every_seed_is_drawn_and_a_diverged_one_is_a_cross(done):
    svg = measure_figure(done).svg
    assert svg.count("<circle") == 5 * 8 - 1
    assert svg.count('class="cross"') == 1
    assert "seed 3 diverged" in svg
    for arm in done.measures:
        assert f">{arm}</text>" in svg
    assert differences_figure(done).svg.count("<circle") == 2 * 8


def test_without_an_effect_the_reason_stands_in_place_of_the_picture(done, tmp_path):
    part = run(drawn(8), arms=["replay", "joint"], out=tmp_path)
    assert differences_figure(part).svg == ""
    assert "the arm finetune is missing" in differences_figure(part).reason
    forest = {panel.title: panel for panel in secondary_figures(part)}
    assert "no gain can be shown" in forest["gain in forgetting, points"].reason
    assert forest["gain in first exam"].svg


def test_claims_are_drawn_measure_by_measure(done):
    titles = [panel.title for panel in secondary_figures(done)]
    assert titles == ["gain in final accuracy, points", "gain in forgetting, points", "gain in first exam"]


def life(accuracy, steps, ends):
    accuracy = np.asarray(accuracy, float)
    coords = {"seed": np.arange(len(accuracy)), "exam": steps}
    return xr.Dataset({"accuracy": (("seed", "exam", "task"), accuracy)}, coords, {"ends": np.asarray(ends)})


def test_what_is_known_so_far_is_the_mean_over_the_tasks_met():
    accuracy = [[[0, 0], [1, 0.5], [0.8, 0.2], [0.6, 0.4]]]
    lived = life(accuracy, [0, 10, 15, 20], [10, 20])
    known = known_so_far(lived, "accuracy", np.array([10, 20]))
    np.testing.assert_array_equal(known.exam, [10, 15, 20])
    np.testing.assert_allclose(known, [[1, (0.8 + 0.2) / 2, (0.6 + 0.4) / 2]])
    np.testing.assert_allclose(known_so_far(lived, "accuracy", np.zeros(0)), [[0.75, 0.5, 0.5]])


def test_what_was_unlearned_or_not_yet_learned_does_not_count():
    accuracy = [[[0.1, 0.1], [0.2, 0.9], [0.1, 0.1], [0.8, 0.2]]]
    lived = life(accuracy, [0, 10, 15, 30], [10, 15, 30]).assign_attrs(requests="L1 U1 L0")
    known = known_so_far(lived, "accuracy", np.array([10, 20]))
    np.testing.assert_allclose(known, [[0.9, np.nan, 0.8]])


def test_a_diverged_seed_leaves_a_gap_in_its_curve():
    known = known_so_far(life([[[0, 0], [np.nan, np.nan]]], [0, 10], [10]), "accuracy", np.array([10]))
    assert np.isnan(known).all()


def test_results_that_are_not_by_seed_and_exam_have_no_curve():
    lived = life([[[0, 0], [1, 1]]], [0, 10], [10])
    assert known_so_far(lived, "return", np.zeros(0)) is None
    assert known_so_far(lived.isel(exam=0), "accuracy", np.zeros(0)) is None
    assert known_so_far(lived.isel(exam=[0]), "accuracy", np.zeros(0)) is None
    by_exam = lived.assign(reward=lived.accuracy.sum("task"))
    np.testing.assert_allclose(known_so_far(by_exam, "reward", np.array([10])), [[2.0]])


def test_every_arm_has_a_curve_and_a_matrix_or_a_reason(done):
    curves, matrices = curve_figures(done), matrix_figures(done)
    assert [panel.title for panel in curves] == [panel.title for panel in matrices] == list(done.lives)
    assert all(panel.svg for panel in curves)
    assert [panel.title for panel in matrices if not panel.svg] == ["joint"]
    assert "no ends of tasks" in matrices[3].reason
    assert [panel.title for panel in curves if panel.strong] == ["replay"]
    other = replace(done, study=replace(done.study, curve="return"))
    assert curve_figures(other) == matrix_figures(other) == []
    part = replace(done, lives={**done.lives, "finetune": done.lives["finetune"].drop_vars("accuracy")})
    assert "no exam result 'accuracy'" in matrix_figures(part)[0].reason


def test_the_matrix_shows_means_over_seeds_that_lived(done):
    svg = matrix_figures(done)[1].svg
    means = done.lives["replay"].accuracy.isel(exam=slice(1, None)).mean("seed").values
    numbers = [f">{100 * value:.0f}</text>" for value in means.ravel()]
    at = [svg.find(number) for number in numbers]
    assert min(at) > 0
