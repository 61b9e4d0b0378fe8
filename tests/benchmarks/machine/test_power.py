"""Energy is the area under the power, less what an idle machine takes."""

import pytest

from benchmarks.machine.power import energy_j, energy_per_estimate, mean_w


def test_energy_is_the_area_under_the_power() -> None:
    assert energy_j([2.0, 4.0, 4.0], [0.0, 1.0, 3.0]) == 3.0 + 8.0
    assert energy_j([None, 2.0, None, 4.0], [0.0, 1.0, 2.0, 3.0]) == 6.0  # 3 W over 2 s
    assert mean_w([None, 2.0, None, 4.0], [0.0, 1.0, 2.0, 3.0]) == 3.0
    assert energy_j([5.0], [0.0]) is energy_j([None, None], [0.0, 1.0]) is mean_w([], []) is None
    assert mean_w([1.0, 2.0], [4.0, 4.0]) is None
    with pytest.raises(ValueError, match="shorter"):
        energy_j([1.0, 2.0], [0.0])


def test_energy_of_an_estimate_is_less_idle() -> None:
    assert energy_per_estimate(6.5, 4.5, 60.0, 600) == pytest.approx(0.2)
    assert energy_per_estimate(4.4, 4.5, 10.0, 10) == pytest.approx(-0.1)  # noise, not cut off
    assert energy_per_estimate(None, 4.5, 60.0, 600) is energy_per_estimate(6.5, 4.5, 60.0, 0) is None
