"""`lifelong anchors`: what it shows without data, and what it refuses."""

import json

import pytest


def test_show_needs_neither_data_nor_runs(as_json):
    rows = {one["row"]: one for one in as_json("anchors show")["rows"]}
    one = rows["hsu-2018/adam/class"]
    assert one["published"]["mean"] == 19.71 and one["mark"] == "F"
    assert one["state"] in ("inside", "outside") and len(one["ours"]["accuracy"]) == one["published"]["runs"]
    assert rows["hsu-2018/rtf/task"]["state"] == "not measured" and "_generative" in rows["hsu-2018/rtf/task"]["why"]


def test_show_prints_a_row_each_and_how_many_agree(cli):
    code, out, err = cli("anchors show hsu-2018/adam hsu-2018/rtf/class")
    assert (code, err) == (0, "")
    assert "hsu-2018/adam/domain" in out and "hsu-2018/ewc" not in out
    assert "4 rows: 3 " in out and "1 not measured" in out


def test_the_page_is_printed_as_it_is(cli):
    code, out, _ = cli("anchors show --markdown")
    assert code == 0 and out.startswith("# Published numbers\n") and out.endswith("\n")


def test_the_front_page_is_printed_as_it_is(cli):
    code, out, _ = cli("anchors show hsu-2018/adam hsu-2018/rtf --readme")
    assert (
        code == 0 and out.startswith("<!-- published numbers") and out.endswith("<!-- end of published numbers -->\n")
    )


def test_strict_tells_by_its_exit_code(cli, tmp_path):
    (tmp_path / "runs").mkdir()
    found = {"hsu-2018/adam/class": {"accuracy": {"0": 99.0}}, "hsu-2018/sgd/class": {"accuracy": {"0": 19.5}}}
    (tmp_path / "runs" / "anchors.json").write_text(json.dumps(found))
    assert cli("anchors show hsu-2018/adam/class")[0] == 0
    assert cli("anchors show hsu-2018/adam/class --strict")[0] == 3
    assert cli("anchors show hsu-2018/sgd/class --strict")[0] == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("anchors list", "there is no anchors command named 'list'; known: run, show"),
        ("anchors show hsu-2018/ewk", "did you mean 'hsu-2018/ewc'?"),
        ("anchors run hsu-2018/adam --seeds 0", "at least one seed"),
        ("anchors run hsu-2018/rtf", "cannot be lived yet: it needs a generator that is also the classifier"),
        ("anchors run hsu-2018/adam/class", "`lifelong data get mnist` downloads it"),
    ],
)
def test_mistakes_are_one_sentence(cli, line, words):
    code, out, err = cli(line)
    assert (code, out) == (2, "")
    assert words in err.splitlines()[-1] and "Traceback" not in err
