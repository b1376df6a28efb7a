import ast
import inspect
import io
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from miniature import drawn
from rich.console import Console

from lifelong import studies
from lifelong.errors import BadFile
from lifelong.lab import Arm, Claim, Outcome, bibtex, run, select
from lifelong.lab._mechanism import _paragraph, annotated, coloured, origins
from lifelong.lab._next import next_steps, related
from lifelong.lab._report import as_html, as_markdown, as_table, report
from lifelong.lab._words import arm_rows

VOID = {"meta", "link", "br", "hr", "img", "input"}
"""Elements without an end."""


class Page(HTMLParser):
    """A page taken apart: its elements, its headings, and whether they are nested well."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.headings, self.faults = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append([int(tag[1]), ""])

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings[-1][1] += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(drawn(16), out=tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def html(done):
    return as_html(done)


def words(html):
    """Return what a reader sees of a page, on one line."""
    html = re.sub(r"<(style|title)>.*?</\1>", " ", html, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", html).replace("&quot;", '"').replace("&#x27;", "'").replace("&#39;", "'")
    return re.sub(r"\s+", " ", text.replace("&amp;", "&"))


def test_a_report_is_one_file_beside_the_results(done, tmp_path):
    assert report(done) == done.store.folder / "report.html"
    assert report(done).read_text() == as_html(done)
    assert report(done, tmp_path / "deep" / "page.html").stat().st_size < 100_000


def test_a_report_that_cannot_be_written_is_named(done, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadFile, match=r"file/page\.html"):
        report(done, tmp_path / "file" / "page.html")


def test_the_page_asks_for_nothing_but_itself(html):
    page = Page(html)
    assert not page.all("script") and not page.all("img") and not page.all("iframe")
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    assert [a["href"] for a in page.all("a")] == ["https://arxiv.org/abs/2309.04081"]
    assert "@import" not in html and "url(" not in html and "@font-face" not in html


def test_the_page_is_well_formed_and_can_be_read_aloud(html):
    page = Page(html)
    assert page.open == page.faults == []
    assert page.all("html")[0]["lang"] == "en"
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 10 for svg in page.all("svg"))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in page.elements:
        assert set(attrs.get("aria-labelledby", "").split()) <= set(ids)
    assert all("scope" in th for th in page.all("th"))


def test_the_parts_come_in_their_order(html):
    titles = [title for level, title in Page(html).headings if level == 2]
    assert titles == [
        "The number",
        "Every seed",
        "Over the life",
        "Arms",
        "Controls",
        "Task by task",
        "Secondary claims",
        "How it works",
        "Hyperparameters",
        "The command",
        "Where the numbers come from",
        "What was simplified",
        "What would refute it",
        "References",
        "What to try next",
    ]


def test_the_page_says_what_the_verdict_rests_on(done, html):
    seen, effect = words(html), done.verdict.effect
    assert done.verdict.outcome == Outcome.SUPPORTED
    assert '<p class="badge supported">' in html
    assert done.study.claim.sentence in seen
    assert done.verdict.reason[1:] in seen
    assert f"{100 * effect.mean:.1f} points" in seen
    assert f"{100 * effect.interval.low:.1f} to {100 * effect.interval.high:.1f}" in seen
    assert "3.1\u00a0×\u00a010⁻⁵" in html
    for row in arm_rows(done):
        for part in (row.name, row.role, row.note, row.choice, *(e.mean for e in row.estimates)):
            assert part in seen
    for check in done.verdict.controls:
        assert check.sentence[1:] in seen
    assert "No seed diverged." in seen
    assert "undefined: no announced ends of tasks" in seen
    assert "seeds 0–15" in seen and "1000–1001" in seen


def test_the_page_says_how_it_came_about(done, html):
    seen, about = words(html), done.lives["replay"].attrs
    for fact in (about["code"], about["jax"], about["device"], about["when"][:10], done.store.folder.name):
        assert fact in seen
    assert "All arms were lived by the code that wrote this page." in seen
    assert "lifelong run uer --budget full" in seen
    assert "Small studies to test the lab with." in seen
    assert "made up" in seen and "Everything." in seen
    assert words(bibtex(done.study.paper)) in seen


def test_stale_arms_are_named(done):
    lives = dict(done.lives) | {"joint": done.lives["joint"].assign_attrs(code="another")}
    seen = words(as_html(replace(done, lives=lives)))
    assert "lived by other code than the one that wrote this page: joint." in seen


def test_changed_settings_are_in_the_command_and_beside_their_defaults(tmp_path):
    done = run(drawn(16), "quick", changes={"world": "two words"}, out=tmp_path)
    seen = words(as_html(done))
    assert "lifelong run uer --budget quick --set world='two words'" in seen
    assert "seeds 8 16" in seen
    assert "world two words made up" in seen


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"claim": Claim("replay", "joint", "final_accuracy", 0.05)}, "refuted"),
        ({"claim": Claim("replay", "no-labels", "final_accuracy", 0.05, knockout=None), "seeds": 4}, "inconclusive"),
        ({"arms_of": ("replay", "joint")}, "broken"),
    ],
)
def test_every_outcome_has_a_page(tmp_path, changes, outcome):
    changes = dict(changes)
    arms, seeds = changes.pop("arms_of", None), changes.pop("seeds", 8)
    done = run(drawn(seeds, **changes), arms=arms, out=tmp_path)
    assert done.verdict.outcome == outcome
    html = as_html(done)
    assert Page(html).faults == []
    assert f'<p class="badge {outcome}">' in html
    assert done.verdict.reason[1:] in words(html)
    if outcome == "broken":
        assert "There is no number:" in words(html)


def test_diverged_seeds_are_counted_and_drawn(tmp_path):
    html = as_html(run(drawn(8, diverge=(2, 5)), out=tmp_path))
    assert "Diverged seeds, counted as worst: replay 2 of 8." in words(html)
    assert "2 of 8 seeds diverged and are not in this mean" in words(html)
    assert html.count('class="cross"') == 2


def test_an_arm_of_which_no_seed_is_left_has_its_place(tmp_path):
    done = run(drawn(8, diverge=range(8)), out=tmp_path)
    html = as_html(done)
    assert done.verdict.outcome == Outcome.BROKEN
    assert "all 8 seeds diverged" in words(html)
    assert "Diverged seeds, counted as worst: replay 8 of 8." in words(html)
    assert html.count('class="cross"') == 8
    assert "nan" not in words(
        re.sub(r'<div class="annotated".*?</section>', "", html, flags=re.DOTALL)
    )  # the study's code may say so


def test_some_arms_alone_have_a_page_too(tmp_path):
    def gap(lives):
        final = {arm: life.accuracy.isel(exam=-1).mean("task") for arm, life in lives.items()}
        return {arm: {"distance": final["joint"] - one} for arm, one in final.items()}

    claim = Claim("replay", "finetune", "distance", higher_is_better=False)
    apart = drawn(8, across=gap, claim=claim, tune_on="final_accuracy")
    seen = words(as_html(run(apart, arms=["replay", "joint"], out=tmp_path)))
    assert "no arm has the measure distance" in seen
    assert "distance" in words(as_html(run(apart, out=tmp_path)))


def test_one_seed_has_no_interval(tmp_path):
    html = as_html(run(drawn(1), out=tmp_path))
    assert "one seed: no interval" in words(html)
    assert Page(html).faults == []


def test_text_of_the_study_cannot_break_the_page(tmp_path):
    trap = '<script>alert("x")</script> & {{ claim }}'
    arms = drawn().arms | {"<b>": Arm("variant", trap, "joint")}
    claim = replace(drawn().claim, sentence=trap)
    done = run(drawn(2, arms=arms, question=trap, simplified=trap, claim=claim), out=tmp_path)
    html = as_html(done)
    assert not Page(html).all("script")
    assert Page(html).faults == []
    assert html.count("{{ claim }}") == 4
    assert "<b>" in shown(as_table(done))


def test_a_study_is_shown_piece_by_piece_beside_what_it_says_of_itself():
    study = studies.load("refresh-learning")
    parts = annotated(study)
    code = "\n".join(part.code for part in parts)
    source = inspect.getsource(study.module)
    said = [line for node in ast.walk(ast.parse(source)) for line in _said(node)]
    left = [line for number, line in enumerate(source.splitlines(), 1) if line.strip() and number not in said]
    assert [line for line in code.splitlines() if line.strip()] == left
    (disturbed,) = [part for part in parts if part.code.startswith("def disturbed")]
    assert disturbed.words.startswith("<p>Return DER++ whose steps start from disturbed weights")
    (claim,) = [part for part in parts if part.code.startswith("    claim=Claim(")]
    assert claim.words == "<p><code>claim</code>: what is claimed, declared before it is run.</p>"
    assert all(part.words for part in parts[1:])


def test_code_is_coloured_and_stays_the_same():
    source = inspect.getsource(studies.load("refresh-learning").module)
    html = coloured(source)
    assert unescape(re.sub("<[^>]+>", "", html)) == source
    assert '<span class="k">def</span> <span class="d">disturbed</span>' in html
    assert coloured("x < 'a'  # no") == 'x &lt; <span class="s">\'a\'</span>  <span class="c"># no</span>'


def test_a_curve_says_what_it_is_the_mean_of(tmp_path):
    study = drawn(2)
    html = as_html(run(study, out=tmp_path / "tasks"))
    assert "<figcaption>Mean accuracy over the tasks met so far" in html and '<h2 id="tasks">' in html
    layers = replace(
        study,
        lifetime=lambda arm, settings, **options: study.lifetime(arm, settings, **options).rename(task="layer"),
        measures={"last": lambda life: life.accuracy.isel(exam=-1).mean("layer")},
        claim=Claim("replay", "finetune", "last"),
        controls=(),
        secondary=(),
    )
    html = as_html(run(layers, out=tmp_path / "layers"))
    assert "<figcaption>Mean accuracy over all layers, at every exam" in html and '<h2 id="tasks">' not in html


def _said(node):
    """Yield the lines of a text that stands as a statement: a docstring, or what explains an assignment."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        yield from range(node.lineno, node.end_lineno + 1)


def test_numbers_say_which_paper_and_section_they_come_from():
    found = origins(studies.load("uncle"))
    assert ("NoiseAlignment", "strength: γ; 0.01 in the paper.") in found
    assert any(name == "OutputPreservation" and "equation 2" in words for name, words in found)


def test_what_tuning_took_is_told(html):
    table = words(html).split("Chosen on other seeds")[1].split("The command")[0]
    assert "replay" in table and "0, 0.05" in table and " 4 0.05" in table


def test_what_to_try_next_can_be_typed(tmp_path):
    done = run(drawn(8), out=tmp_path)
    first, *_ = next_steps(done)
    assert first.command == "lifelong run uer --budget full --set seeds=32"
    assert {one.paper.slug for one in related(done.study.paper)} <= {paper.slug for paper in select(status="ready")}
    assert all(one.parts for one in related(done.study.paper))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Two lines\nof `code` & x < y.", "<p>Two lines of <code>code</code> &amp; x &lt; y.</p>"),
        ("- one\n  more\n- two", "<ul><li>one more</li><li>two</li></ul>"),
        ("    y = `x`\n      + <1>", "<pre>y = `x`\n  + &lt;1&gt;</pre>"),
    ],
)
def test_paragraphs_lists_and_blocks_of_a_docstring_are_kept(text, html):
    assert _paragraph(text) == html


def test_many_tasks_and_arms_stay_a_small_file(tmp_path):
    arms = drawn().arms | {f"variant-{i}": Arm("variant", f"number {i}", "joint") for i in range(5)}
    page = report(run(drawn(16, tasks=20, arms=arms), out=tmp_path))
    assert page.stat().st_size < 300_000


def shown(table, width=200):
    """Return what a terminal shows."""
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


def test_the_table_for_the_terminal_holds_every_number(done):
    table = shown(as_table(done))
    assert "uer · full · seeds 0–15 · supported" in table
    for row in arm_rows(done):
        assert row.name in table
        for one in row.estimates:
            assert all(line in table for line in one.lines.splitlines())
    assert "labels" in table and "0.05" in table
    assert "…" not in shown(as_table(done), 80)


def test_the_table_in_markdown_has_a_row_an_arm(done):
    text = as_markdown(done)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(done.lives)
    assert len({row.count("|") for row in rows}) == 1
    replay = next(row for row in arm_rows(done) if row.name == "replay")
    assert f"| {replay.name} | {replay.role} | {replay.estimates[0]} |" in text
    assert "**supported** — Replay raises accuracy by 5 points." in text
    assert "**refuted**" in text
    assert "diverged" not in rows[0]
    assert "    lifelong run uer --budget full" in text


def test_a_report_is_the_same_each_time_it_is_written(done, html):
    assert as_html(done) == html


def colours(html, dark):
    """Return the colours of the page by name, as numbers from 0 to 1."""
    light = html[html.index(":root {") : html.index("}", html.index(":root {"))]
    at = html.index("@media (prefers-color-scheme: dark)")
    block = html[at : html.index("}", at)] if dark else light
    return {
        name: [int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        for name, code in re.findall(r"--(\w+): #(\w{6})", block)
    }


def contrast(a, b):
    """Return the contrast ratio of two colours as WCAG 2 defines it."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_can_be_read_light_and_dark(html, dark):
    own = colours(html, dark)
    for name in ("ink", "muted", "accent", "good", "bad", "open"):
        assert contrast(own[name], own["paper"]) >= 4.5, name
    assert contrast(own["ink"], own["raised"]) >= 7
    assert contrast(own["ink"], own["heat"]) >= 4.5
