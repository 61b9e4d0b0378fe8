"""Engine files: what they are tied to, how they are built, and what is left when a build dies."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge import bundle as bundles
from edge.engines.tensorrt import builder as trt_build
from edge.engines.tensorrt import plans
from edge.errors import DependencyError, EdgeError
from edge.system import device
from edge.system.ownership import write_own

PYTHON = sys.executable
KEY = plans.Key("tensorrt", "10.3.0", "Orin", "8.7", "6.2 (L4T 36.4.3)", "cafe", "ab" * 32, "int8-trt", 8)


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 3, BOARD: x", "6.2 (L4T 36.4.3)"),
        ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.0, GCID: 3", "6.1 (L4T 36.4.0)"),
        ("etc/nv_tegra_release", "# R38 (release), REVISION: 2.1, GCID: 1", "7.0 (L4T 38.2.1)"),
        ("etc/nv_tegra_release", "# R39 (release), REVISION: 2.0, GCID: 1", "7.2 (L4T 39.2.0)"),
        (
            "var/lib/dpkg/status",
            "Package: other\nVersion: 1.2.3\n\nPackage: nvidia-l4t-core\nStatus: ok\nVersion: 36.5.0-2025\n",
            "6.2 (L4T 36.5.0)",
        ),
        ("etc/hostname", "workstation", ""),
    ],
)  # fmt: skip
def test_the_release_is_read_from_a_boards_files(tmp_path, file: str, text: str, told: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    assert device.jetpack(tmp_path) == told


@pytest.mark.parametrize(
    ("release", "name"), [("36 (release), REVISION: 3.0", "6.0"), ("32 (release), REVISION: 7.1", "4")]
)
def test_an_old_release_is_refused_with_the_fix(tmp_path, release: str, name: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text(f"# R{release}, GCID: 1")
    with pytest.raises(EdgeError, match=rf"JetPack {name} .*install JetPack 6.1"):
        device.jetpack(tmp_path)


def test_every_part_of_the_key_gives_another_file() -> None:
    others = [
        replace(KEY, library="tensorrt_rtx"), replace(KEY, version="10.4.0"), replace(KEY, gpu="Thor"),
        replace(KEY, capability="11.0"), replace(KEY, jetpack="7.0"), replace(KEY, model_sha256="cd" * 32),
        replace(KEY, precision="fp16"), replace(KEY, faces=4), replace(KEY, machine="babe"),
    ]  # fmt: skip
    assert len({key.stem() for key in (KEY, *others)}) == 10
    assert KEY.stem() == "int8-trt-822345123531775d", "a change of the format makes every board build again"


@pytest.fixture
def kept(tmp_path) -> tuple[Path, Path, Path]:
    """A folder with a plan and its sidecar, as ``make`` leaves them."""
    folder = tmp_path / "engines"
    folder.mkdir(mode=0o700)
    plan, sidecar = plans._paths(folder, KEY)
    plan.write_bytes(b"plan")
    sidecar.write_text(json.dumps({**plans.asdict(KEY), "plan_sha256": hashlib.sha256(b"plan").hexdigest()}))
    return folder, plan, sidecar


def test_what_fits_is_found(kept) -> None:
    folder, plan, _ = kept
    assert plans.find(folder, KEY) == plan
    assert plans.find(folder, replace(KEY, version="10.4.0")) is None


@pytest.mark.parametrize(
    "fault",
    [
        *("bytes", "no sidecar", "no plan", "broken sidecar", "other key", "open", "open plan"),
        *("open sidecar", "linked plan", "linked sidecar", "pipe", "nested", "doubled key", "more", "huge"),
    ],
)
def test_what_does_not_fit_is_not_loaded(kept, fault: str) -> None:
    folder, plan, sidecar = kept
    if fault == "bytes":
        plan.write_bytes(b"plam")
    elif fault == "no sidecar":
        sidecar.unlink()
    elif fault == "no plan":
        plan.unlink()
    elif fault == "broken sidecar":
        sidecar.write_text("{")
    elif fault == "other key":
        sidecar.write_text(sidecar.read_text().replace("Orin", "Thor"))
    elif fault.startswith("linked"):
        linked = plan if "plan" in fault else sidecar
        linked.symlink_to(linked.rename(folder / "good"))
    elif fault == "pipe":
        sidecar.unlink()
        os.mkfifo(sidecar)
    elif fault == "nested":
        sidecar.write_text("[" * 30_000)
    elif fault == "doubled key":
        sidecar.write_text(sidecar.read_text()[:-1] + ', "faces": 8}')
    elif fault == "more":
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "more": 1}))
    elif fault == "huge":
        os.truncate(sidecar, 10 << 30)
    else:
        {"open": folder, "open plan": plan, "open sidecar": sidecar}[fault].chmod(0o777)
    assert plans.find(folder, KEY) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("what", ["folder", "plan", "sidecar"])
def test_what_belongs_to_another_user_is_not_loaded(kept, what: str) -> None:
    folder, plan, sidecar = kept
    os.chown({"folder": folder, "plan": plan, "sidecar": sidecar}[what], 12345, -1)
    assert plans.find(folder, KEY) is None
    if what == "plan":
        with pytest.raises(EdgeError, match="belongs to user 12345; remove it, and it is built again"):
            plans.read(plan)


def test_a_folder_that_others_can_write_is_refused_with_the_fix(tmp_path) -> None:
    folder = tmp_path / "engines"
    folder.mkdir()
    folder.chmod(0o775)
    with pytest.raises(EdgeError, match=f"is writable by other users; run: chmod 700 {folder}"):
        plans.make(bundles.load(bundles.REFERENCE), replace(KEY, precision="fp32"), folder, print)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("planted", ["own", "open", "link", "pipe", "huge"])
def test_timings_that_others_can_write_are_none(tmp_path, planted: str) -> None:
    path = tmp_path / "timing-10.3.0.cache"
    write_own(path, b"timings")
    if planted == "open":
        path.chmod(0o666)
    elif planted == "link":
        path.symlink_to(path.rename(tmp_path / "good"))
    elif planted == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif planted == "huge":
        os.truncate(path, 10 << 30)
    assert trt_build._timings(path) == (b"timings" if planted == "own" else b"")


@pytest.mark.parametrize("planted", ["held by another", "link", "pipe"])
def test_a_strangers_lock_from_before_is_removed(tmp_path, monkeypatch, planted: str) -> None:
    folder = tmp_path / "engines"
    folder.mkdir(mode=0o700)
    lock = folder / "lock"
    held = lock.open("w") if planted == "held by another" else (tmp_path / "elsewhere").open("w")
    if planted == "link":
        lock.symlink_to(tmp_path / "elsewhere")
    elif planted == "pipe":
        os.mkfifo(lock)
    elif os.geteuid() != 0:
        pytest.skip("only root gives files away")
    else:
        os.chown(lock, 12345, -1)
    fcntl.flock(held, fcntl.LOCK_EX)
    builder(tmp_path, monkeypatch, "open(plan, 'wb').write(b'whole')")
    with held:
        assert plans.make(bundles.load(bundles.REFERENCE), replace(KEY, precision="fp32"), folder, print)
    assert lock.is_file()
    assert not lock.is_symlink()


def test_a_plan_that_was_exchanged_after_it_was_built_is_not_believed(tmp_path, monkeypatch) -> None:
    builder(tmp_path, monkeypatch, "os.symlink('/dev/zero', plan)")
    with pytest.raises(EdgeError, match="is a link, expected a regular file, after it was built"):
        plans.make(bundles.load(bundles.REFERENCE), replace(KEY, precision="fp32"), tmp_path / "e", print)


def test_too_little_memory_is_told_with_the_figure_and_the_fix(tmp_path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable:  512000 kB\nSwapFree: 102400 kB\n")
    assert trt_build.memory_fault(500, meminfo) == ""
    assert "600 MB of memory and swap are free" in trt_build.memory_fault(1000, meminfo)
    assert "swapon" in trt_build.memory_fault(1000, meminfo)
    assert trt_build.memory_fault(1000, tmp_path / "none") == "", "unknown is no fault"


def builder(tmp_path: Path, monkeypatch, script: str) -> list[str]:
    """Let ``make`` start ``script`` in the builder's place; returns what it says."""
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!{PYTHON}\nimport os, signal, sys\nplan = sys.argv[4]\n{script}\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(plans.sys, "executable", str(stand_in))
    return []


def test_a_killed_builder_leaves_no_engine_and_says_why(tmp_path, monkeypatch) -> None:
    reference = bundles.load(bundles.REFERENCE)
    key, folder = replace(KEY, precision="fp32"), tmp_path / "engines"
    said = builder(
        tmp_path,
        monkeypatch,
        "print('40 Building', flush=True)\nfolder, name = os.path.split(plan)\n"
        "open(f'{folder}/.{name}.9.part', 'w').write('half')\n"
        "os.kill(os.getpid(), signal.SIGKILL)",
    )
    with pytest.raises(EdgeError, match=r"memory ran out.*swap"):
        plans.make(reference, key, folder, said.append)
    assert said[-1] == "40 Building"
    assert plans.find(folder, key) is None
    builder(tmp_path, monkeypatch, "open(plan, 'wb').write(b'whole')")
    plan = plans.make(reference, key, folder, said.append)
    assert plans.find(folder, key) == plan
    left = sorted(path.name.partition(".")[2] or path.name for path in folder.iterdir())
    assert left == ["json", "lock", "plan"], "litter was left"


def test_only_its_own_litter_is_removed(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir(mode=0o700)
    (folder / "film.mkv.part").write_text("not ours")
    builder(tmp_path, monkeypatch, "open(plan, 'wb').write(b'whole')")
    plans.make(bundles.load(bundles.REFERENCE), replace(KEY, precision="fp32"), folder, print)
    assert (folder / "film.mkv.part").read_text() == "not ours"


def test_a_builder_that_says_very_much_does_not_hang(tmp_path, monkeypatch) -> None:
    builder(tmp_path, monkeypatch, "sys.stderr.write('NvMap ' * 100_000)\nopen(plan, 'wb').write(b'whole')")
    assert plans.make(bundles.load(bundles.REFERENCE), replace(KEY, precision="fp32"), tmp_path / "e", print)


def test_a_model_that_was_changed_is_not_parsed(tmp_path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"changed")
    command = [PYTHON, "-m", "edge.engines.tensorrt.builder", model, tmp_path / "p", "--sha256", "ab" * 32]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 2
    assert "does not match its manifest" in told.stderr


def test_no_other_package_called_edge_is_taken(tmp_path, monkeypatch) -> None:
    """Python 3.10 looks into the current folder first, also for what a child imports."""
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge/__init__.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgeError) as caught:
        plans.make(
            bundles.load(bundles.REFERENCE),
            replace(KEY, precision="fp32", model_sha256="ab" * 32),
            tmp_path / "e",
            print,
        )
    assert "stranger" not in str(caught.value)
    assert "does not match its manifest" in str(caught.value)


def test_the_builders_words_come_through(tmp_path, monkeypatch) -> None:
    said = builder(
        tmp_path,
        monkeypatch,
        "print('[E] noise\\ntrt_build: error: node 7 is odd', file=sys.stderr)\nsys.exit(3)",
    )
    with pytest.raises(plans.Refused, match=r"^node 7 is odd$"):
        plans.make(
            bundles.load(bundles.REFERENCE), replace(KEY, precision="fp32"), tmp_path / "e", said.append
        )


def test_a_folder_that_cannot_be_written_is_named(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeError, match=r"cannot write .*file"):
        plans.make(
            bundles.load(bundles.REFERENCE), replace(KEY, precision="fp32"), tmp_path / "file" / "e", print
        )


def test_without_tensorrt_the_command_names_the_package(monkeypatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match="python3-libnvinfer"):
        trt_build.library()


def engine(*args: str, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "engine", "--out", str(out), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("precision", ["int8", "fp16", "fp32"])
def test_the_shipped_command_builds_every_precision(tmp_path, precision: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT-RTX; make judge installs it")
    told = engine("--capability", "8.6", "--precision", precision, out=tmp_path)
    assert told.returncode == 0, told.stderr
    (plan,) = tmp_path.glob("*.plan")
    assert plan.stat().st_size > 500_000
    kept = json.loads(plan.with_suffix(".json").read_text())
    assert (kept["faces"], kept["capability"], kept["library"]) == (8, "8.6", "tensorrt_rtx")
    again = engine("--capability", "8.6", "--precision", precision, out=tmp_path)
    assert "already exists" in again.stdout


def test_an_engine_is_found_again_under_any_umask(tmp_path) -> None:
    """002 is the umask of Ubuntu's users: files of a group of one are still this user's alone."""
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT-RTX; make judge installs it")
    before = os.umask(0o002)
    try:
        first = engine("--capability", "8.6", "--precision", "fp32", out=tmp_path / "e")
        again = engine("--capability", "8.6", "--precision", "fp32", out=tmp_path / "e")
    finally:
        os.umask(before)
    assert ": built" in first.stdout
    assert "already exists" in again.stdout


def test_auto_goes_on_where_int8_is_refused_and_says_so(tmp_path) -> None:
    """A bundle whose INT8 file is of the other dialect: the parser names the node, float16 is built."""
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT-RTX; make judge installs it")
    import shutil

    folder = shutil.copytree(bundles.REFERENCE, tmp_path / "bundle")
    shutil.copy(folder / "model.int8-cpu.onnx", folder / "model.int8-trt.onnx")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["int8-trt"]["sha256"] = manifest["files"]["int8-cpu"]["sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    told = engine(str(folder), "--capability", "8.6", out=tmp_path / "engines")
    assert told.returncode == 0, told.stderr
    assert "int8: TensorRT" in told.stderr
    assert "shiftIsAllZeros" in told.stderr
    assert "/fp16-" in told.stdout
    alone = engine(str(folder), "--capability", "8.6", "--precision", "int8", out=tmp_path / "engines")
    assert alone.returncode == 2
    assert len(alone.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="this machine has a GPU")
def test_without_a_gpu_the_command_says_so(tmp_path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT-RTX; make judge installs it")
    told = engine(out=tmp_path)
    assert told.returncode == 2
    assert "no NVIDIA driver" in told.stderr
    assert "Traceback" not in told.stderr
