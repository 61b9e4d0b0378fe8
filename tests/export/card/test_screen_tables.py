"""Tables of what is on screen: every figure stands under its rule."""

import pytest

from export.card import screen_tables

pytestmark = pytest.mark.export


def test_figures_stand_under_their_rules() -> None:
    sets = {
        "dev-plain": {
            "films": 3,
            "true_changes": {
                "n": 4,
                **{rule: {"reached": k} for k, rule in enumerate(("likeliest", "raw", "shown"))},
            },
            "false_answers": {"raw": {"events": 5}, "shown": {"events": 6}},
        }
    }
    lines = screen_tables.generated(sets).splitlines()
    assert lines[:3] == ["## dev-plain", "- films: 3", "- true_changes n: 4"]
    assert "| true_changes reached | 0 | 1 | 2 |" in lines
    assert "| false_answers events |  | 5 | 6 |" in lines
