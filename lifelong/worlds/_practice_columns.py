"""Which column of a practice log is which: public layouts, and guesses by name."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lifelong.errors import BadFile, BadInput, UnknownName

ROLES = ("student", "skill", "item", "outcome", "time", "attempt", "label")
"""What a column can be. `label` says in words what a skill is. `attempt` identifies an attempt: rows that share it are
one attempt at several skills, and where there is no time it gives the order."""

Given = Mapping[str, str | Sequence[str]]

LAYOUTS: dict[str, dict[str, tuple[str, ...]]] = {
    "assistments-2009": {
        "student": ("user_id",),
        "skill": ("skill_name", "skill_id"),
        "item": ("problem_id",),
        "outcome": ("correct",),
        "attempt": ("order_id",),
    },
    "assistments-2012": {
        "student": ("user_id",),
        "skill": ("skill", "skill_id"),
        "item": ("problem_id",),
        "outcome": ("correct",),
        "time": ("start_time",),
        "attempt": ("problem_log_id",),
    },
    "assistments-2015": {
        "student": ("user_id",),
        "skill": ("sequence_id",),
        "outcome": ("correct",),
        "attempt": ("log_id",),
    },
    "assistments-2017": {
        "student": ("studentid",),
        "skill": ("skill",),
        "item": ("problemid",),
        "outcome": ("correct",),
        "time": ("starttime",),
    },
    "junyi-2015": {
        "student": ("user_id",),
        "skill": ("exercise",),
        "item": ("exercise",),
        "outcome": ("correct",),
        "time": ("time_done",),
    },
    "junyi-2020": {
        "student": ("uuid",),
        "skill": ("ucid",),
        "item": ("upid",),
        "outcome": ("is_correct",),
        "time": ("timestamp_tw",),
    },
    "ednet-kt1": {
        "student": ("user_id",),
        "skill": ("tags",),
        "item": ("question_id",),
        "outcome": ("correct",),
        "time": ("timestamp",),
    },
    "datashop-steps": {
        "student": ("anon_student_id",),
        "skill": ("kc_default", "kc_*"),
        "item": ("step_name",),
        "outcome": ("correct_first_attempt",),
        "time": ("first_transaction_time", "step_start_time"),
    },
    "datashop": {
        "student": ("anon_student_id",),
        "skill": ("kc_default", "kc_*"),
        "item": ("problem_name", "step_name"),
        "outcome": ("outcome",),
        "time": ("time", "cf_time"),
    },
}
"""Role → the names that its column may have, the first found counting. LKT's own tables have DataShop's layout."""

NEEDED_BESIDES = {"assistments-2015": ("log_id",), "assistments-2009": ("order_id",), "junyi-2015": ("time_done",)}
"""Columns without which a layout is not recognised, though a log could be read without them."""

GUESSES = {
    "student": (
        *("student", "student_id", "studentid", "user", "user_id", "userid", "uid", "learner", "learner_id"),
        *("anon_student_id", "person", "person_id", "subject", "participant"),
    ),
    "skill": (
        *("skill", "skills", "skill_id", "skill_name", "skill_ids", "kc", "kcs", "concept", "concepts", "concept_id"),
        *("knowledge_component", "knowledge_components", "kc_default", "tag", "tags", "topic", "task"),
    ),
    "item": (
        *("item", "item_id", "problem", "problem_id", "problemid", "question", "question_id", "exercise"),
        *("exercise_id", "problem_name", "step_name", "card", "card_id"),
    ),
    "outcome": (
        *("outcome", "correct", "is_correct", "correctness", "response", "result", "score", "grade", "right"),
        *("correct_first_attempt", "answered_correctly"),
    ),
    "time": (
        *("time", "timestamp", "start_time", "starttime", "date", "datetime", "when", "seconds", "time_done"),
        *("first_transaction_time", "cf_time", "created_at", "date_time", "ms_first_response_time"),
    ),
    "label": ("skill_name", "skill_label", "kc_name", "concept_name"),
    "attempt": ("log_id", "order_id", "problem_log_id", "interaction_id", "row_id"),
}


class Columns(NamedTuple):
    """What was understood of a header, in words, and the columns of every role."""

    layout: str
    of: dict[str, tuple[str, ...]]


def find_columns(names: Sequence[str], given: Given, layout: str | None, source: str) -> Columns:
    """Say which columns of a header play which role: as given, else by layout, else by their names.

    Raises UnknownName for a role or layout, BadFile where a named column is missing, or no student or outcome or
    neither skill nor item is found; it names the columns that there are.
    """
    for role in given:
        if role not in ROLES:
            raise UnknownName("role of a column", role, ROLES)
    if layout is not None and layout not in LAYOUTS:
        raise UnknownName("layout of practice logs", layout, LAYOUTS)
    called = layout or next((known for known in LAYOUTS if _has(names, known)), "guessed")
    found = _by_name(names, LAYOUTS.get(called, GUESSES))
    found |= {role: _named(names, wanted, source) for role, wanted in given.items()}
    _check_found(found, names, source, layout)
    found.setdefault("skill", found.get("item", ()))
    if len(found["skill"]) > 1 or found.get("label") == found["skill"]:
        found.pop("label", None)
    how = f"layout {called}" if called in LAYOUTS else "columns guessed by name"
    return Columns(f"{how}, but for those named" if given else how, found)


def _has(names: Sequence[str], layout: str) -> bool:
    plain = set(map(plain_name, names))
    found = _by_name(names, LAYOUTS[layout])
    return set(found) >= set(LAYOUTS[layout]) - {"attempt"} and plain.issuperset(NEEDED_BESIDES.get(layout, ()))


def _by_name(names: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return role → the first column that has one of its names."""
    plain = {plain_name(name): name for name in reversed(names)}
    found = {}
    for role, candidates in wanted.items():
        for candidate in candidates:
            fits = [n for n in map(plain_name, names) if n == candidate or _starts(n, candidate)]
            if fits:
                found[role] = (plain[fits[0]],)
                break
    return found


def _starts(name: str, candidate: str) -> bool:
    return candidate.endswith("*") and name.startswith(candidate[:-1])


def plain_name(name: str) -> str:
    """Return a column's name in lower case, with everything but letters and digits as single underscores."""
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")


def _named(names: Sequence[str], wanted: str | Sequence[str], source: str) -> tuple[str, ...]:
    columns = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    if not columns:
        raise BadInput("a role needs the name of a column, and none was given")
    for column in columns:
        if column not in names:
            raise BadFile(f"{source} has no column '{column}'; its columns are: {', '.join(names)}")
    return columns


def _check_found(found: Mapping[str, object], names: Sequence[str], source: str, layout: str | None) -> None:
    missing = [role for role in ("student", "outcome") if role not in found]
    missing += [] if "skill" in found or "item" in found else ["skill or item"]
    if missing:
        expected = f" in the layout {layout}" if layout else ""
        raise BadFile(
            f"{source} has no column for {', '.join(missing)}{expected}; its columns are: {', '.join(names)}; name the "
            "right ones, as in columns={'student': 'who'} or --student who"
        )
