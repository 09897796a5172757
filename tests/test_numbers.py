"""Numbers for the sentences."""

import numpy as np
import pytest

from vae_utils.notebook import numbers


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
    monkeypatch.setattr(numbers.myst_nb, "glue", lambda *args, display: glued.append(args))
    numbers.glue("key", text)
    assert glued == [("key", shown)]
    assert capsys.readouterr().out == f"key: {shown}\n"


def test_mean_and_std_are_those_of_a_sample_and_know_no_negative_zero():
    assert numbers.mean_and_std([1, 2, 6]) == "3 ± 3"
    assert numbers.mean_and_std(np.array([-0.5, 0.496]), digits=2) == "0.00 ± 0.70"


def test_mean_and_range_round_and_know_no_negative_zero():
    assert numbers.mean_and_range(np.array([-0.04, 1.0, 3.04])) == "1.3 (0.0 to 3.0)"
    assert numbers.mean_and_range(np.array([0.25, 0.75]), digits=2) == "0.50 (0.25 to 0.75)"
