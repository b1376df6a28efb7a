def test_a_design_is_checked_and_students_are_told(cli, as_json, tmp_path):
    path = tmp_path / "essay.toml"
    path.write_text('level = "no AI"\nconstruct = "unaided skill"\ncontrolled = true\n')
    code, shown, _ = cli(f"assess {path}")
    assert code == 0 and "You may not use AI at any stage." in shown and "the design is consistent" in shown
    path.write_text('level = "no AI"\nconstruct = "unaided skill"\n')
    code, shown, _ = cli(f"assess {path}")
    assert code == 1 and "uncontrolled: a ban that nothing enforces" in shown
    assert as_json(f"assess {path}", code=1)["issues"][0]["code"] == "uncontrolled"
    code, _, news = cli(f"assess {tmp_path / 'absent.toml'}")
    assert code == 2 and "cannot be read as a design" in news
