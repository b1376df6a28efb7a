"""Published AUCs: that they are there, and when ours agree."""

from pathlib import Path

from lifelong.lab._tracing_anchors import tracing_anchors
from lifelong.worlds._practice_columns import LAYOUTS


def test_rows_are_of_known_files_and_say_where_they_come_from():
    rows = tracing_anchors()
    assert len({row.name for row in rows}) == len(rows) and {row.layout for row in rows} <= set(LAYOUTS)
    assert all(0.5 < row.auc < 1 and row.file and row.protocol for row in rows)


def test_a_row_agrees_within_its_band():
    row = next(r for r in tracing_anchors("assistments-2015") if r.model == "pfa")
    assert row.auc == 0.69 and row.state(None) == "needs the file" and row.state({"irt": 0.64}) == "not measured"
    assert row.state({"pfa": 0.7049}) == row.state({"pfa": 0.6751}) == "inside"
    assert row.state({"pfa": 0.706}) == row.state({"pfa": 0.674}) == "outside"


def test_the_page_shows_every_row():
    page = (Path(__file__).parents[2] / "docs" / "practice-logs.md").read_text()
    assert all(f"| {row.name} | {row.auc:g} |" in page for row in tracing_anchors())
