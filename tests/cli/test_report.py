"""`kt report`."""

import json

from tests.helpers.folders import make_run, make_study


def test_a_run(kt, tmp_path):
    folder = make_run(tmp_path / "run")
    assert kt("report", folder).stdout == f"{folder / 'report.html'}\n"
    assert kt("report", folder).stdout  # what it wrote itself, it replaces


def test_json(kt, tmp_path):
    page = tmp_path / "page.html"
    shown = json.loads(kt("report", make_study(tmp_path / "study"), "--out", page, "--json").stdout)
    assert shown == {"report": str(page), "kind": "study", "bytes": page.stat().st_size}


def test_out_is_replaced_by_force_only(kt, tmp_path):
    folder, page = make_run(tmp_path / "run"), tmp_path / "page.html"
    page.write_text("mine")
    assert "Use --force to replace it" in kt("report", folder, "--out", page, code=1).stderr
    assert page.read_text() == "mine"
    kt("report", folder, "--out", page, "--force")
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_errors(kt, tmp_path):
    assert (
        kt("report", tmp_path / "no", code=1).stderr
        == f"Error: DIR must be a folder. Received: {tmp_path / 'no'}.\n"
    )
    assert "with none of these" in kt("report", tmp_path, code=1).stderr
    kt("report", code=2)
