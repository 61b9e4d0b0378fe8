"""Sensors in the file systems of a Jetson Orin Nano, a Raspberry Pi 4 and 5, and an x86 machine.

The contents of the files are those that the kernel and the boards' makers document; no board was at hand.
"""

import time

import pytest
from board_files import FIRMWARE, HWMON, ORIN_NANO, PI_4, PI_5, PMIC, RAPL, THERMAL, X86, system
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.machine.sensors import Sensors
from edge.health.load_governor import hottest
from edge.system import sysfs


def test_jetson_orin_nano(tmp_path) -> None:
    found = Sensors(system(tmp_path, ORIN_NANO))
    sample = found.read()
    assert [sample[f"cpu{n}_mhz"] for n in (0, 5)] == [1510.4, 1510.405]
    assert sample["gpu_mhz"] == pytest.approx(305.967, abs=0.001)
    assert sample["emc_mhz"] == 2133
    assert sample["nvpmodel"] == "MAXN_SUPER (mode 2)"
    assert sample["temperature_c"] == sample["tj_thermal_c"] == 51.031 == hottest(tmp_path)
    assert sample["cv0_thermal_c"] is None  # switched off
    assert sample["power_w"] == sample["vdd_in_w"] == pytest.approx(5.056 * 1.240)
    assert sample["vdd_soc_w"] == pytest.approx(5.048 * 0.312)
    assert not any("shunt" in name for name in sample)
    assert [sample[f"oc{n}_events"] for n in (1, 2, 3)] == [0, 0, 37]
    assert sample["throttled"] is None  # the bits are those of a Raspberry Pi
    assert found.fixed() == {
        "governor": "schedutil",
        "nvpmodel": "MAXN_SUPER (mode 2)",
        "power_sensor": "INA3221, rail VDD_IN: the module, without its carrier board",
        "gpu_sensor": "17000000.gpu",
        "temperature_sensors": "cpu_thermal, gpu_thermal, cv0_thermal, tj_thermal",
    }


@pytest.mark.parametrize("gpu", ["17000000.ga10b", "57000000.gpu", "gpu-gpc-0"])
def test_the_gpus_of_other_jetpacks(tmp_path, gpu) -> None:
    system(tmp_path, {f"sys/class/devfreq/{gpu}/cur_freq": "918000000\n"})
    assert Sensors(tmp_path).read()["gpu_mhz"] == 918


def test_a_jetson_without_a_rail_for_the_whole(tmp_path) -> None:
    """AGX Orin: the rails are told, their sum is not sold as the machine."""
    files = dict(ORIN_NANO) | {f"{HWMON}1/in1_label": "VDD_GPU_SOC\n", f"{HWMON}1/in2_label": "NC\n"}
    sample = Sensors(system(tmp_path, files)).read()
    assert sample["vdd_gpu_soc_w"] == pytest.approx(5.056 * 1.240)
    assert "nc_w" not in sample
    assert sample["power_w"] is None


def test_thor_knows_its_input(tmp_path) -> None:
    files = {
        f"{HWMON}1/name": "ina3221", f"{HWMON}1/in1_label": "VDD_GPU",
        f"{HWMON}1/in1_input": "11900", f"{HWMON}1/curr1_input": "464",
        f"{HWMON}4/name": "ina238", f"{HWMON}4/power1_input": "23400000",
    }  # fmt: skip
    found = Sensors(system(tmp_path, files))
    assert found.read()["power_w"] == 23.4
    assert "carrier" in str(found.fixed()["power_sensor"])


def test_raspberry_pi_4_has_no_power_sensor(tmp_path) -> None:
    def run(what: str) -> str | None:
        unknown = 'error=1 error_msg="Command not registered"'
        return "throttled=0x50005\n" if what == "get_throttled" else unknown

    found = Sensors(system(tmp_path, PI_4), run)
    sample = found.read()
    assert sample["throttled"] == sample["throttled_since_boot"] == "under-voltage, throttled"
    assert sample["undervoltage_alarm"] == 1
    assert sample["cpu3_mhz"] == 1800
    assert sample["power_w"] is None
    assert sample["power_w"] is None
    assert found.fixed()["power_sensor"] is None


@pytest.mark.parametrize(
    ("bits", "now", "since_boot"),
    [
        ("50005", "under-voltage, throttled", "under-voltage, throttled"),
        ("a0000", "none", "frequency capped, soft temperature limit"),
        ("f000f", *["under-voltage, frequency capped, throttled, soft temperature limit"] * 2),
        ("0", "none", None),  # the kernel clears the bits of the past
    ],
)
def test_the_file_of_the_kernel(tmp_path, bits, now, since_boot) -> None:
    sample = Sensors(system(tmp_path, PI_4 | {FIRMWARE: bits + "\n"})).read()
    assert (sample["throttled"], sample["throttled_since_boot"]) == (now, since_boot)


def test_raspberry_pi_5_sums_the_rails_of_its_pmic(tmp_path) -> None:
    answers = {"pmic_read_adc": PMIC, "get_throttled": "throttled=0x0\n"}
    found = Sensors(system(tmp_path, PI_5), answers.get)
    sample = found.read()
    rails = (0.1024727 * 3.710912, 0.1083282 * 3.309105, 1.4288 * 0.9065925, 0.0200244 * 5.0786)
    assert sample["vdd_core_w"] == pytest.approx(rails[2], abs=1e-6)
    assert sample["power_w"] == pytest.approx(sum(rails), abs=1e-5)
    assert not any(name.startswith(("ext5v", "batt")) for name in sample)
    assert "USB" in str(found.fixed()["power_sensor"])
    assert sample["throttled_since_boot"] == "none"
    assert sample["governor"] == "performance"
    answers["pmic_read_adc"] = PMIC.replace("VDD_CORE_V", "")
    sample = found.read()
    assert (sample["vdd_core_w"], sample["power_w"]) == (None, None)  # a part of the sum is no sum


def test_x86_power_is_the_difference_of_two_readings(tmp_path) -> None:
    clock = iter([0.0, 2.0, 3.0])
    found = Sensors(system(tmp_path, X86), now=lambda: next(clock))
    counter = tmp_path / f"{RAPL}0/energy_uj"
    first = found.read()
    assert first["power_w"] is None
    assert (first["acpitz_c"], first["acpitz_2_c"], first["x86_pkg_temp_c"]) == (27.8, 29.8, 45.0)
    counter.write_text("31000000\n")
    assert found.read()["power_w"] == 15.0
    # 31 J before, 10 J after the counter began anew at its range: 262143.32885 J - 21 J in a second
    counter.write_text("10000000\n")
    assert found.read()["package_0_w"] == pytest.approx(262143.32885 - 21)


def test_a_counter_that_only_root_may_read_is_no_sensor(tmp_path) -> None:
    files = {name: content for name, content in X86.items() if not name.endswith("energy_uj")}
    assert Sensors(system(tmp_path, files)).fixed()["power_sensor"] is None


def test_an_empty_machine_has_every_column(tmp_path) -> None:
    sample = Sensors(tmp_path).read()
    assert {"governor", "temperature_c", "throttled", "power_w", "gpu_mhz"} <= set(sample)
    assert set(sample.values()) == {None}
    assert set(Sensors(tmp_path).fixed().values()) == {None}


def test_this_machine_reads() -> None:
    sample = Sensors().read()
    assert all(value is None or isinstance(value, (float, str)) for value in sample.values())


def test_vcgencmd_is_not_asked_about_another_root(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "vcgencmd").write_text("#!/bin/sh\necho throttled=0x4\n")
    (tmp_path / "vcgencmd").chmod(0o755)
    assert Sensors(tmp_path).read()["throttled"] is None
    assert Sensors().read()["throttled"] == "throttled"
    (tmp_path / "vcgencmd").write_text("#!/bin/sh\nexit 1\n")
    assert sysfs.vcgencmd("get_throttled") is None
    (tmp_path / "vcgencmd").unlink()
    assert sysfs.vcgencmd("get_throttled") is None


ODD = st.one_of(
    st.binary(max_size=80),
    st.integers().map(lambda number: str(number).encode()),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([b"nan", b"1e999", b"9" * 400, b"-1", b"0x10", b"\0", b"VDD_IN", b"pmode:99999", b""]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_odd_contents_never_raise(tmp_path, data) -> None:
    """Each board's files, any of them with anything in it, before and after the sensors were found."""
    files = data.draw(st.sampled_from([ORIN_NANO, PI_4, PI_5, X86]))
    root = tmp_path / str(time.monotonic_ns())
    system(root, files)
    kept = ("/name", "_label")  # else most examples would have no rails to read
    names = st.sampled_from([name for name in files if data.draw(st.booleans()) or not name.endswith(kept)])
    changes = st.dictionaries(names, ODD, max_size=8)
    answers = st.one_of(st.none(), st.text(max_size=60), st.just(PMIC), st.just("throttled=0x50005"))
    for name, content in data.draw(changes).items():
        (root / name).write_bytes(content)
    found = Sensors(root, lambda _: data.draw(answers))
    for name, content in data.draw(changes).items():
        (root / name).write_bytes(content)
    for sample in (found.read(), found.fixed(), found.read()):
        assert all(isinstance(name, str) for name in sample)
        for value in sample.values():
            assert value is None or isinstance(value, str) or abs(value) < float("inf")


def test_folders_and_files_of_others_are_missing_sensors(tmp_path) -> None:
    system(tmp_path, ORIN_NANO)
    (tmp_path / f"{THERMAL}8/temp").unlink()
    (tmp_path / f"{THERMAL}8/temp").mkdir()
    (tmp_path / f"{HWMON}1/curr1_input").unlink()
    sample = Sensors(tmp_path).read()
    assert sample["tj_thermal_c"] is None
    assert (sample["vdd_in_w"], sample["power_w"]) == (None, None)
    assert sample["temperature_c"] == 50.593
