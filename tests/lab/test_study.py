from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from miniature import ARMS, drawn, study

from lifelong.errors import BadInput, UnknownName
from lifelong.lab import Arm, Claim, Control, Grid, Settings

SMALL = study()


def test_a_budget_changes_the_settings_and_changes_come_last():
    assert dict(SMALL.configured()) == dict(SMALL.settings)
    quick = SMALL.configured("quick", {"per_class": 8})
    assert (quick.seeds, quick.steps, quick.per_class) == (2, 12, 8)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("steps", "12", 12),
        ("steps", "1e2", 100),
        ("steps", 12.0, 12),
        ("learning_rate", "0.5", 0.5),
        ("learning_rate", 1, 1.0),
        ("name", "large", "large"),
        ("careful", "False", False),
        ("careful", True, True),
    ],
)
def test_a_setting_is_read_as_the_type_it_replaces(name, text, value):
    read = SMALL.configured(changes={name: text})[name]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", "many"), ("steps", "1.5"), ("steps", "inf"), ("steps", "nan"), ("steps", None), ("learning_rate", "fast"),
     ("careful", "perhaps"), ("careful", 5)],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(name, value):
    with pytest.raises(BadInput, match=f"the setting '{name}' is a .* and '{value}' is none"):
        SMALL.configured(changes={name: value})


def test_a_misspelt_setting_or_budget_gets_a_suggestion():
    with pytest.raises(UnknownName, match="no setting named 'step'; did you mean 'steps'"):
        SMALL.configured(changes={"step": 3})
    with pytest.raises(UnknownName, match="no budget named 'fulll'; did you mean 'full'"):
        SMALL.configured("fulll")
    with pytest.raises(UnknownName, match="did you mean 'per_class'"):
        _ = Settings({"per_class": 3}).per_clas


@pytest.mark.parametrize("seeds", [0, -1, 1000])
def test_seeds_stay_between_one_and_those_of_tuning(seeds):
    with pytest.raises(BadInput, match="between 1 and 999 seeds"):
        SMALL.configured(changes={"seeds": seeds})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"claim": Claim("replay", "finetun", "final_accuracy")}, "arm named 'finetun'; did you mean 'finetune'"),
        ({"claim": Claim("replay", "finetune", "final_acuracy")}, "measure named 'final_acuracy'; did you mean"),
        ({"controls": (Control("joint", "forgeting", at_most=1.0),)}, "measure named 'forgeting'"),
        ({"secondary": (Claim("replay", "jont", "forgetting"),)}, "arm named 'jont'; did you mean 'joint'"),
        ({"arms": ARMS | {"more": Arm("variant", "", like="repla")}}, "arm named 'repla'; did you mean 'replay'"),
        ({"tune_on": "accuracy"}, "measure to tune on named 'accuracy'"),
        ({"budgets": {"smoke": {"seed": 1}, "quick": {}, "full": {}}}, "setting named 'seed'; did you mean 'seeds'"),
        ({"slug": "uerr"}, "study named 'uerr'"),
    ],
)
def test_names_that_do_not_exist_are_found_when_a_study_is_written(changes, message):
    with pytest.raises(UnknownName, match=message):
        study(**changes)


def test_a_study_needs_its_budgets_and_its_seeds():
    with pytest.raises(BadInput, match="has no budget 'quick'"):
        study(budgets={"smoke": {}, "full": {}})
    with pytest.raises(BadInput, match="must say how many seeds"):
        study(settings={"steps": 1}, budgets={"smoke": {}, "quick": {}, "full": {}}, claim=SMALL.claim)


def test_the_command_names_what_differs_from_the_budget():
    settings = SMALL.configured("quick", {"steps": 5, "name": "two words"})
    assert SMALL.command("quick", settings) == "lifelong run uer --budget quick --set steps=5 --set name='two words'"
    assert SMALL.command("full", SMALL.configured()) == "lifelong run uer --budget full"


def test_its_module_is_where_it_is_declared():
    assert SMALL.module.__name__ == "miniature"
    from lifelong.studies.continual import uer

    assert uer.study.module is uer


def record(values, diverged=None):
    """Return a raw record whose final accuracies are the values."""
    life = xr.Dataset(
        {"accuracy": (("seed", "exam", "task"), np.asarray(values, float)[:, None, None] * np.ones((1, 2, 2)))},
        {"seed": np.arange(len(values)), "exam": [10, 20]},
        {"ends": np.array([10, 20])},
    )
    return life if diverged is None else life.assign(diverged_at=("seed", diverged))


def test_a_diverged_seed_is_undefined_whatever_the_measure_makes_of_it():
    hopeful = replace(
        SMALL, measures={**SMALL.measures, "final_accuracy": lambda life: life.accuracy.mean(["exam", "task"])}
    )
    measures = hopeful.measured({"replay": record([0.5, 0.6, 0.7], [-1, 12, -1])})
    np.testing.assert_array_equal(measures["replay"]["final_accuracy"], [0.5, np.nan, 0.7])
    np.testing.assert_array_equal(hopeful.measured({"replay": record([0.5])})["replay"]["final_accuracy"], [0.5])


def test_measures_across_arms_need_all_of_them():
    def gap(lives):
        return {"gap": {"width": lives["joint"].accuracy.mean(["exam", "task"])}}

    wide = study(across=gap, derived=("gap",), controls=(Control("gap", "width", at_least=0.0),))
    lives = {name: record([0.1, 0.2]) for name in wide.arms}
    np.testing.assert_array_equal(wide.measured(lives)["gap"]["width"], [0.1, 0.2])
    assert set(wide.measured({"finetune": lives["finetune"]})) == {"finetune"}


def test_hyperparameters_are_chosen_by_the_claim_unless_stated():
    assert SMALL.tuned_by == "final_accuracy"
    assert study(tune_on="forgetting").tuned_by == "forgetting"
    assert drawn().arms["replay"].tune == Grid("memory.labels", (0.0, 0.05))
