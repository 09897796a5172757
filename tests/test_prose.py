"""Numbers for the sentences."""

import pytest

from vae_utils import prose


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-488.6 ± 1.0", "−488.6 ± 1.0"),
        ("+0.6 and -.5", "+0.6 and −.5"),
        ("7e-6", "7e−6"),
        ("two-core", "two-core"),
    ],
)
def test_a_negative_number_has_a_minus_sign(monkeypatch, capsys, text, shown):
    glued = []
    monkeypatch.setattr(prose.myst_nb, "glue", lambda *args, display: glued.append(args))
    prose.glue("key", text)
    assert glued == [("key", shown)]
    assert capsys.readouterr().out == f"key: {shown}\n"
