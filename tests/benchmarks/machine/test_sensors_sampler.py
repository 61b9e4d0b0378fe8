"""The sampler reads the sensors beside the work, and survives them."""

import threading
import time

import pytest
from board_files import PI_4, RAPL, X86, system

from benchmarks.machine.sensors import Sampler, Sensors


def test_the_sampler_reads_beside_the_work(tmp_path) -> None:
    with Sampler(Sensors(system(tmp_path, PI_4)), period_s=0.02) as sampler:
        deadline = time.monotonic() + 10.0
        while len(sampler.samples) < 5 and time.monotonic() < deadline:
            time.sleep(0.005)
    times = [sample["time_s"] for sample in sampler.samples]
    assert len(times) >= 6  # five and the last one
    assert times == sorted(times)
    assert all(sample["temperature_c"] == 61.835 for sample in sampler.samples)
    assert not any(thread.name == "sensors" for thread in threading.enumerate())


def test_the_sampler_does_not_count_what_was_used_before_it(tmp_path) -> None:
    found = Sensors(system(tmp_path, X86))
    found.read()
    (tmp_path / f"{RAPL}0/energy_uj").write_text("900000000\n")
    with Sampler(found, period_s=60.0) as sampler:
        pass
    assert [sample["power_w"] for sample in sampler.samples] == [None, 0.0]


def test_a_short_block_has_two_samples(tmp_path) -> None:
    with Sampler(Sensors(tmp_path), period_s=60.0) as sampler:
        pass
    assert len(sampler.samples) == 2


def test_the_sampler_survives_its_sensors(tmp_path) -> None:
    class Broken(Sensors):
        def read(self) -> dict[str, float | str | None]:
            raise RuntimeError("unplugged")

    with Sampler(Broken(tmp_path), period_s=60.0) as sampler:
        pass
    assert [sample["error"] for sample in sampler.samples] == ["RuntimeError"] * 2
    with pytest.raises(ValueError, match="period_s is 0"):
        Sampler(Sensors(tmp_path), period_s=0)
