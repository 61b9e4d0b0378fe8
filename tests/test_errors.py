"""The reason of a failure in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import reason


def test_an_error_of_the_system_has_no_number_and_no_path(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011
        (tmp_path / "none").read_text()
    assert reason(caught.value) == "No such file or directory"


@pytest.mark.parametrize(
    ("error", "told"),
    [(ValueError("one\ntwo"), "one"), (ValueError(), "ValueError"), (OSError("no number"), "no number")],
)
def test_a_reason_is_never_empty_and_never_two_lines(error: Exception, told: str) -> None:
    assert reason(error) == told
