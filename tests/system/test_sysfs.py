"""Numbers and names in the files of the kernel."""

import pytest

from edge.system import sysfs


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("51031\n", 51.031),
        ("-256000", -256.0),
        ("9" * 400, None),
        ("1 2", None),
        ("nan", None),
        ("1_0", None),
    ],
)
def test_numbers(tmp_path, content, value) -> None:
    (tmp_path / "temp").write_text(content)
    assert sysfs.number(tmp_path / "temp", 1000) == value


def test_names_stay_apart() -> None:
    assert sysfs.distinct(["a_c", "a_c", "a_c", "a_2_c"]) == ["a_c", "a_2_c", "a_3_c", "a_2_2_c"]
    assert sysfs.identifier("GPU-therm (1)") == "gpu_therm_1"
    assert sysfs.identifier("ü") == "unnamed"
