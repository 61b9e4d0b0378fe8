"""The boards that a kit is made for: what of their system is used, and what is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.errors import ConfigError

# Tags of wheels by the second number of the glibc they ask for (PEP 600); 17 is manylinux2014.
_GLIBC = (17, 24, 26, 27, 28, 31, 34, 35, 36, 38, 39, 41)
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}


@dataclass(frozen=True)
class Target:
    """A system on a machine. Versions of wheels are exact: the same kit next year."""

    name: str
    system: str
    arch: str  # as Debian calls it
    python: str  # of the system, to which the kit's environment links
    glibc: int  # 36 is 2.36, the system's own: no wheel may ask for more
    wheels: tuple[str, ...]  # NAME==VERSION; their dependencies are named too, or not needed to run
    depends: tuple[str, ...]  # packages of the system that are always used; a wheel would shadow them
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # scheme of a source -> its packages
    recommends: tuple[str, ...] = ()
    checked: bool = False  # names compared with the lists of the archive; else they are from documentation

    @property
    def machine(self) -> str:
        """The machine as Linux calls it, such as "aarch64"."""
        return _MACHINES[self.arch]

    @property
    def jetson(self) -> bool:
        return self.name.startswith("jetson")

    def platforms(self) -> list[str]:
        """Tags of the wheels that run there; ``linux_`` is what a board calls a wheel that it made itself."""
        tags = [f"manylinux_2_{number}_{self.machine}" for number in _GLIBC if number <= self.glibc]
        return [*reversed(tags), f"manylinux2014_{self.machine}", f"linux_{self.machine}"]

    def depending(self, address: str) -> tuple[list[str], list[str]]:
        """``Depends:`` and ``Recommends:`` of a kit whose source is ``address``."""
        needed = list(self.sources.get(address.partition(":")[0], ()))
        after = f"{self.python[:2]}{int(self.python[2:]) + 1}"
        system = [
            f"python3 (>= {self.python}~)", f"python3 (<< {after}~)", f"python{self.python}",
            f"libc6 (>= 2.{self.glibc})", "libgcc-s1", "libstdc++6", "zlib1g",
        ]  # fmt: skip
        others = dict.fromkeys(name for names in self.sources.values() for name in names)
        optional = [name for name in (*others, *self.recommends) if name not in needed]
        return [*system, *self.depends, *needed], optional

    def refuse_other_camera(self, address: str) -> None:
        """ConfigError for a camera that only another board has."""
        scheme = address.partition("://")[0]
        having = [row.name for row in TARGETS if scheme in row.sources]
        if having and self.name not in having:
            raise ConfigError(
                f"source.address is {address:.60}, which {self.name} does not have; set another camera, "
                f"or take --target {' or '.join(having)}"
            )


# NumPy is the system's where there is one: TensorRT, picamera2 and the system's OpenCV are compiled for it.
# ONNX Runtime's own dependencies serve its tools only: no model is run by them.
_GSTREAMER = (
    "python3-gi",
    "gir1.2-gstreamer-1.0",
    "gir1.2-gst-plugins-base-1.0",
    "gstreamer1.0-plugins-base",
)
_GST_CAMERAS = {"csi": _GSTREAMER, "mjpeg": _GSTREAMER}
_CAMERA = {"picam": ("python3-picamera2",)}

# From JetPack 6.1's and 7's documentation, and Raspberry Pi OS's: `checked` is false.
TARGETS: tuple[Target, ...] = (
    Target(
        "jetson-jp6", "JetPack 6.1 and 6.2 (Ubuntu 22.04)", "arm64", "3.10", 35,
        # NumPy 1: JetPack's OpenCV was built against it, and ONNX Runtime wants more than Ubuntu's 1.21.5.
        ("onnxruntime==1.23.2", "numpy==1.26.4", "tomli==2.5.0", "cuda-bindings==12.9.10",
         "cuda-pathfinder==1.8.3"),
        ("libopencv-python | python3-opencv", "python3-libnvinfer"),
        _GST_CAMERAS,
    ),
    Target(
        "jetson-jp7", "JetPack 7 (Ubuntu 24.04)", "arm64", "3.12", 39,
        # JetPack 6's bindings: a driver of CUDA 13.0 or 13.2 serves what is older without limits, but what is
        # newer, such as 13.5, with fewer features (NVIDIA, CUDA Compatibility).
        ("onnxruntime==1.31.1", "cuda-bindings==12.9.10", "cuda-pathfinder==1.9.1"),
        ("python3-numpy", "libopencv-python | python3-opencv", "python3-libnvinfer"),
        _GST_CAMERAS,
    ),
    Target(
        "pi-bookworm", "Raspberry Pi OS 12 (bookworm)", "arm64", "3.11", 36,
        # OpenCV 4.10 is the last that takes the system's NumPy 1.24. Pi OS Lite has no OpenCV of its own.
        ("onnxruntime==1.31.1", "opencv-python-headless==4.10.0.84"),
        ("python3-numpy",), _CAMERA, ("python3-av",),
    ),
    Target(
        "pi-trixie", "Raspberry Pi OS 13 (trixie)", "arm64", "3.13", 41,
        ("onnxruntime==1.31.1", "opencv-python-headless==4.14.0.94"),
        ("python3-numpy",), _CAMERA, ("python3-av",),
    ),
    Target(
        "debian-amd64", "Debian 13 (trixie)", "amd64", "3.13", 41,
        ("onnxruntime==1.31.1", "opencv-python-headless==4.14.0.94"),
        ("python3-numpy",), {}, ("python3-av",), checked=True,
    ),
    Target(
        "debian-amd64", "Debian 12 (bookworm)", "amd64", "3.11", 36,
        ("onnxruntime==1.31.1", "opencv-python-headless==4.10.0.84"),
        ("python3-numpy",), {}, ("python3-av",), checked=True,
    ),
)  # fmt: skip


def names() -> list[str]:
    """Each name once."""
    return list(dict.fromkeys(target.name for target in TARGETS))


def find(name: str, python: str | None = None) -> Target:
    """The target of that name, for the system with ``python`` or its newest; ConfigError lists them."""
    rows = [target for target in TARGETS if target.name == name]
    if not rows:
        raise ConfigError(f"--target is {name!r:.60}, expected one of {', '.join(names())}")
    for row in rows:
        if python in (None, row.python):
            return row
    there = " or ".join(row.python for row in rows)
    raise ConfigError(f"--python is {python!r:.60}, but {name} has {there}; leave it out, or give that")
