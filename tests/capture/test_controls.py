"""Exposure, gain and mains frequency as each library wants them; what a camera lacks is told and left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from v4l2_camera import with_camera

from edge.capture import controls as camera_controls
from edge.capture.controls import Controls, argus, libcamera, set_v4l2
from edge.capture.gstreamer.pipeline import description
from edge.capture.sources import open_source
from edge.config import SourceConfig
from edge.config_file import load
from edge.errors import ConfigError, SourceError

OLD = ("AeEnable", "ExposureTime", "AnalogueGain", "AeFlickerMode", "AeFlickerPeriod")
NEW = (*OLD, "ExposureTimeMode", "AnalogueGainMode")
AFTER = """
import fcntl, json, logging, os, struct
said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage()) if record.levelno >= 30 else None
logging.getLogger().addHandler(handler)
from edge.capture.sources import open_source
from edge.config import SourceConfig
with open_source(SourceConfig("/dev/video77", {wishes})) as source:
    next(source.frames())
    camera = os.open("/dev/video77", os.O_RDWR)
    values = {{}}
    for name, control in dict(mode=0x9A0901, exposure=0x9A0902, auto_gain=0x980912, gain=0x980913,
                              mains=0x980918).items():
        try:
            got = fcntl.ioctl(camera, 0xC008561B, struct.pack("Ii", control, 0))  # VIDIOC_G_CTRL
            values[name] = struct.unpack("Ii", got)[1]
        except OSError:
            pass
print(json.dumps([values, said]))
"""


def after(library: Path, wishes: str, **driver: str) -> tuple[dict[str, int], list[str]]:
    """The driver's controls and the warnings, once a camera with ``wishes`` has given a frame."""
    values, said = with_camera(library, AFTER.format(wishes=wishes), **driver)
    return values, said


def test_a_driver_gets_what_is_set(camera_library: Path) -> None:
    untouched = {"mode": 3, "exposure": 0, "auto_gain": 1, "gain": 0, "mains": 3}
    assert after(camera_library, "") == (untouched, [])
    values, said = after(camera_library, "exposure=8.0, gain=12.0, mains_hz=50")
    assert values == {"mode": 1, "exposure": 80, "auto_gain": 0, "gain": 12, "mains": 1}
    assert said == []
    values, _ = after(camera_library, "exposure='auto', mains_hz=0")
    assert values == untouched | {"mode": 3, "mains": 0}, "as UVC cameras call their automatic mode"


@pytest.mark.parametrize(
    ("control", "name"), [(0x980913, "gain"), (0x9A0902, "exposure"), (0x980918, "mains_hz")]
)
def test_a_driver_that_lacks_one_is_told_of_once_and_goes_on(
    camera_library: Path, control: int, name: str
) -> None:
    values, said = after(camera_library, "exposure=8.0, gain=12.0, mains_hz=60", LACKS=str(control))
    (warning,) = said
    assert f"/dev/video77 has no control for source.{name}, which is ignored; list what it has" in warning
    assert values.get("mains", 2) == 2


def test_a_driver_without_automatic_gain_takes_a_gain(camera_library: Path) -> None:
    values, said = after(camera_library, "gain=12.0", LACKS=str(0x980912))
    assert (values["gain"], said) == (12, [])


def test_a_value_that_is_refused_is_a_warning(camera_library: Path) -> None:
    _, (warning,) = after(camera_library, "mains_hz=60", BUSY=str(0x980918))
    assert warning == "camera /dev/video77 refuses source.mains_hz (Device or resource busy)"


def test_a_camera_that_went_away_is_an_error(tmp_path: Path) -> None:
    set_v4l2(tmp_path / "none", Controls())
    with pytest.raises(SourceError, match=r"cannot be opened to set source\.gain"):
        set_v4l2(tmp_path / "none", Controls(gain=1.0))


def test_libcamera_old_and_new() -> None:
    wish = Controls(exposure=8.0, gain=2.5, mains_hz=50)
    both = {"ExposureTime": 8000, "AnalogueGain": 2.5, "AeEnable": False}
    flicker = {"AeFlickerMode": 1, "AeFlickerPeriod": 10_000}
    assert libcamera("picam://0", wish, OLD) == both | flicker
    modes = {"ExposureTimeMode": 1, "AnalogueGainMode": 1}
    assert libcamera("picam://0", wish, NEW) == both | flicker | modes
    assert libcamera("picam://0", Controls(exposure=8.0), OLD) == {"ExposureTime": 8000}, (
        "gain stays automatic"
    )
    assert libcamera("picam://0", Controls("auto", None, 0), NEW) == {"AeEnable": True, "AeFlickerMode": 0}
    assert libcamera("picam://0", Controls(), NEW) == {}


@given(
    st.none() | st.just("auto") | st.floats(0.01, 1e4),
    st.none() | st.floats(0, 100),
    st.sampled_from([None, 0, 50, 60]),
    st.sets(st.sampled_from(NEW)),
)
def test_libcamera_gets_only_what_it_knows(exposure, gain, mains_hz, known) -> None:
    assert set(libcamera("picam://0", Controls(exposure, gain, mains_hz), known)) <= known


def test_argus_gets_properties() -> None:
    assert argus(Controls()) == argus(Controls(exposure="auto")) == ""
    assert argus(Controls(8.5, 2.0, 50)) == (
        ' exposuretimerange="8500000 8500000" gainrange="2 2" aeantibanding=2'
    )
    text = description("csi://0", controls=Controls(mains_hz=60))
    assert text.startswith("nvarguscamerasrc sensor-id=0 aeantibanding=3 ! ")


def test_a_network_camera_is_set_in_the_camera(caplog) -> None:
    with pytest.raises(SourceError):
        open_source(SourceConfig("rtsp://127.0.0.1:9/1", gain=2.0))
    assert "rtsp://127.0.0.1:9/1 has no control for source.gain" in caplog.text
    assert "set that in the camera itself" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source.exposure=bright", "source.exposure is bright, expected auto or 0.01 to 10,000"),
        ("source.exposure=0", "source.exposure is 0.0, expected auto or 0.01 to 10,000"),
        ("source.mains_hz=55", "source.mains_hz is 55, expected 0, 50 or 60"),
        ("source.gain=-1", "source.gain is -1.0, expected 0 to 1,000,000"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_before_a_camera_opens(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        load(None, [text])


def test_the_numbers_are_those_of_the_kernel() -> None:
    header = Path("/usr/include/linux/v4l2-controls.h")
    if not header.is_file():
        pytest.skip("the kernel's headers are not installed: linux-libc-dev")
    text = header.read_text()
    for name, offset in {
        "V4L2_CID_GAIN": camera_controls._GAIN - 0x00980900,
        "V4L2_CID_AUTOGAIN": camera_controls._AUTO_GAIN - 0x00980900,
        "V4L2_CID_POWER_LINE_FREQUENCY": camera_controls._MAINS - 0x00980900,
        "V4L2_CID_EXPOSURE_AUTO": camera_controls._EXPOSURE_MODE - 0x009A0900,
        "V4L2_CID_EXPOSURE_ABSOLUTE": camera_controls._EXPOSURE - 0x009A0900,
    }.items():
        (line,) = (line for line in text.splitlines() if line.split()[1:2] == [name])
        assert line.rstrip(")").endswith(f"+{offset}"), line
