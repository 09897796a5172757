"""The file in which the record of claims is kept."""

import pytest

from tools import record

WHOLE = {
    "claims": {"x > 1": True, "y": False},
    "margins": {"x > 1": [0.5, 2.0, 1.0]},
    "glued": {"share": "−3 %", "line": "one\ntwo"},
    "error": None,
}
BROKEN = {
    "claims": {"x > 1": False, "y": False},
    "margins": {},
    "glued": {},
    "error": "ZeroDivisionError: division by zero",
}


@pytest.mark.parametrize("runs", [{}, {"a": WHOLE}, {"a": BROKEN, "b": WHOLE}])
def test_what_is_read_is_what_was_written(tmp_path, runs):
    written = {"01_one": {"code": "1f", "runs": runs}, "02_two": {"code": "2e", "runs": {}}}
    record.write(tmp_path / "claims.json", written)
    assert record.read(tmp_path / "claims.json") == written


def test_texts_stand_once_and_each_run_has_a_line(tmp_path):
    path = tmp_path / "claims.json"
    record.write(path, {"01_one": {"code": "1f", "runs": {"a": WHOLE, "b": WHOLE}}})
    text = path.read_text("utf8")
    assert text.count("share") == 1 and text.count("y") == 1
    assert sum(line.startswith(('"a": {', '"b": {')) for line in text.splitlines()) == 2


def test_a_line_with_a_value_too_few_is_not_read(tmp_path):
    path = tmp_path / "claims.json"
    record.write(path, {"01_one": {"code": "1f", "runs": {"a": WHOLE}}})
    path.write_text(path.read_text("utf8").replace('"claims": [true, false]', '"claims": [true]'))
    with pytest.raises(ValueError, match="shorter"):
        record.read(path)


def test_without_a_file_nothing_is_recorded(tmp_path):
    assert record.read(tmp_path / "claims.json") == {}
