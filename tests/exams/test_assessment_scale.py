"""Designs on the AI Assessment Scale: every rule by itself, the gate, what students are told, files."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from lifelong.errors import BadFile, BadInput, LifelongError, UnknownName
from lifelong.exams import AssessmentDesign, HelperGate, HelperRefused, Level
from lifelong.exams._assessment_scale import CONSTRUCTS, EVIDENCE, ISSUES, READINGS, STAGES

EARLY, LATE = datetime(2026, 1, 1), datetime(2026, 2, 1)
EXTRAS = {
    Level.NO_AI: {"controlled": True},
    Level.EXPLORATION: {"codesigned": True, "agreed": EARLY, "first_submission": LATE},
}


def consistent(level, **changes):
    return AssessmentDesign(level=level, **{"construct": READINGS[level].construct, **EXTRAS.get(level, {}), **changes})


def designs():
    """Twenty consistent designs: each level, with what it leaves free set in four ways."""
    for level in Level:
        right = READINGS[level].construct
        yield consistent(level)
        yield consistent(level, criteria={"work": right, "result": "the product"})
        yield consistent(level, evidence=EVIDENCE, controlled=True)
        yield consistent(level, stages=READINGS[level].stages[:1], criteria={"a": right, "b": right})


BROKEN = [
    *((level, {"construct": CONSTRUCTS[i - 1], "criteria": {"work": READINGS[level].construct}}, "construct")
      for i, level in enumerate(Level)),
    (Level.NO_AI, {"stages": ("plan",)}, "stages"),
    *((Level.PLANNING, {"stages": ("plan", stage)}, "stages") for stage in ("draft", "refine", "final")),
    (Level.COLLABORATION, {"stages": ("draft", "final")}, "stages"),
    (Level.FULL, {"stages": STAGES}, "stages"),
    (Level.NO_AI, {"controlled": False}, "uncontrolled"),
    (Level.PLANNING, {"evidence": ()}, "evidence"),
    (Level.COLLABORATION, {"evidence": ("helper log",)}, "evidence"),
    (Level.COLLABORATION, {"criteria": {"result": "the product"}}, "criterion"),
    (Level.FULL, {"criteria": {"a": "direction of AI", "b": "unaided skill"}}, "authorship"),
    (Level.EXPLORATION, {"codesigned": False}, "codesign"),
    (Level.EXPLORATION, {"agreed": LATE, "first_submission": LATE}, "agreement"),
    (Level.PLANNING, {"announced": False}, "announcement"),
    (Level.FULL, {"detector": True}, "detector"),
]  # fmt: skip


def test_consistent_designs_are_accepted():
    every = list(designs())
    assert len(every) == 20 and all(design.issues() == [] for design in every)


def test_each_broken_design_is_broken_in_the_way_named():
    assert len(BROKEN) == 20 and {code for *_, code in BROKEN} == set(ISSUES)
    for level, changes, code in BROKEN:
        assert [issue.code for issue in consistent(level, **changes).issues()] == [code]


def test_random_changes_that_cross_a_rule_are_always_caught():
    random, every = np.random.default_rng(0), list(designs())
    values = {
        "construct": CONSTRUCTS,
        "stages": [tuple(s for s in STAGES if random.random() < 0.5) for _ in range(20)],
        "evidence": [tuple(e for e in EVIDENCE if random.random() < 0.5) for _ in range(20)],
        "controlled": (True, False),
        "codesigned": (True, False),
        "announced": (True, False),
        "detector": (True, False),
    }
    for _ in range(300):
        name = str(random.choice(list(values)))
        design = replace(every[random.integers(20)], **{name: values[name][random.integers(len(values[name]))]})
        reading = READINGS[design.level]
        crossed = design.construct != reading.construct or not set(design.stages) <= set(reading.stages)
        crossed |= not set(reading.evidence) <= set(design.evidence) or not design.announced or design.detector
        crossed |= design.level is Level.NO_AI and not design.controlled
        crossed |= design.level is Level.EXPLORATION and not design.codesigned
        assert bool(design.issues()) == crossed


def test_levels_have_no_order():
    with pytest.raises(TypeError):
        assert Level.NO_AI < Level.FULL
    with pytest.raises(TypeError):
        sorted(Level)


@pytest.mark.parametrize("level", Level)
def test_the_gate_refuses_and_records(level):
    asked = []
    gate = HelperGate(consistent(level), asked.append)
    for stage in STAGES:
        if stage in READINGS[level].stages:
            gate.call("ann", stage, stage)
        else:
            with pytest.raises(HelperRefused, match=f"permits no helper at the stage '{stage}'"):
                gate.call("ann", stage, stage)
    assert tuple(asked) == tuple(stage for stage in STAGES if stage in READINGS[level].stages)
    assert [call.permitted for call in gate.log] == [stage in READINGS[level].stages for stage in STAGES]
    assert issubclass(HelperRefused, LifelongError)


def test_the_gate_wants_a_consistent_design():
    with pytest.raises(BadInput, match="a ban that nothing enforces"):
        HelperGate(consistent(Level.NO_AI, controlled=False), print)
    with pytest.raises(UnknownName, match="no stage named 'drafting'; did you mean 'draft'"):
        HelperGate(consistent(Level.FULL), print).call("ann", "drafting")


def test_students_are_told_what_they_may_and_must():
    words = consistent(Level.COLLABORATION, name="Essay").statement()
    assert "Essay: AI collaboration. It looks at evaluation of AI output." in words
    assert "may use AI for: plan, draft, refine" in words and "must not use AI for: goals, final" in words
    assert "helper log, decisions" in words
    assert "may not use AI at any stage" in consistent(Level.NO_AI).statement()


def test_files(tmp_path):
    path = tmp_path / "essay.toml"

    def read(text):
        path.write_text(text)
        return AssessmentDesign.from_toml(path)

    design = read(
        'level = "AI planning"\nconstruct = "development of ideas"\n[criteria]\nidea = "development of ideas"'
    )
    assert design == consistent(Level.PLANNING, name="essay", criteria={"idea": "development of ideas"})
    for text, error, match in (
        ('level = "AI planing"\nconstruct = "development of ideas"', UnknownName, "did you mean 'AI planning'"),
        ('level = "AI planning"', BadInput, "must say its construct"),
        ('level = 2\nconstruct = "development of ideas"', BadInput, "'level' of a design is a str, and 2 came"),
        ('level = "no AI"\nconstruct = "skill"', UnknownName, "no construct named 'skill'"),
        ('levle = "no AI"', UnknownName, "no key of a design named 'levle'; did you mean 'level'"),
        ("level = ", BadFile, "cannot be read as a design in TOML"),
    ):
        with pytest.raises(error, match=match):
            read(text)
    with pytest.raises(BadFile, match="cannot be read"):
        AssessmentDesign.from_toml(tmp_path / "absent.toml")
