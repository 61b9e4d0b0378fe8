"""A network is loaded in a child process first: what it does wrong there is one line here."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from edge import bundle as bundles
from edge import config_file
from edge.config import LimitsConfig
from edge.engines import admission, admission_command, machine_cache, selection
from edge.engines.admission import admit
from edge.engines.golden import Verdict
from edge.engines.ort import OrtEngine
from edge.errors import BundleError, EdgeError

FP32 = config_file.load(None, ["bundle.precision=fp32", "engine.kind=onnxruntime"])


@pytest.fixture
def own_cache(monkeypatch, tmp_path) -> None:
    """An empty cache, for this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def command(program: str) -> tuple[str, ...]:
    """A child that does something else than to try a network."""
    return ("-c", program)


def test_the_reference_is_tried_once_and_the_log_says_so(own_cache, caplog) -> None:
    caplog.set_level(logging.INFO, logger="edge")
    reference = bundles.load()
    for _ in range(2):
        assert isinstance(selection.engine(FP32, reference), OrtEngine)
    told = [record.message for record in caplog.records if "is new on this machine" in record.message]
    assert told == [
        "the network of reference (fp32) is new on this machine: checking graph, memory and golden outputs"
    ]
    assert machine_cache.passed_before(reference, "fp32")


def test_a_cache_that_cannot_be_written_costs_a_check_at_each_start(monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    tried: list[str] = []

    def admitted(bundle, precision, brief) -> Verdict:
        tried.append(precision)
        return Verdict(1.0, 0.0)

    for _ in range(2):
        selection.engine(FP32, bundles.load(), admitted)
    assert tried == ["fp32", "fp32"]


def test_fp32_that_disagrees_with_golden_is_refused(own_cache) -> None:
    with pytest.raises(BundleError, match=r"fp32 on onnxruntime does not reproduce golden.*export it again"):
        selection.engine(FP32, bundles.load(), lambda *_: Verdict(-1.0, 1.0))


def test_a_bundle_without_golden_runs_some_steps(tmp_path: Path) -> None:
    assert admit(bundles.load(tiny.write(tmp_path / "b")), "fp32").passed


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os; os.kill(os.getpid(), 11)", r"model\.fp32\.onnx was killed by signal 11; export"),
        ("import os; os.abort()", "was killed by signal 6"),
        ("raise SystemExit('some\\nwords\\x1b[2J')", r"ended with code 1 \(words\\x1b\[2J\)"),
        ("import sys; sys.stderr.write('x: error: ' + 'y' * 10**6); sys.exit(2)", "^y{600}$"),
        ("import sys; sys.stderr.buffer.write(b'x: error: \\xff'); sys.exit(2)", "^\ufffd$"),
        ("", "gave no verdict"),
        ('print(\'{"min_cosine": NaN, "label_changes": 0}\')', "gave no verdict"),
        ("print('[' * 10**6)", "gave no verdict"),
        ("import time; time.sleep(60)", r"did not finish its first steps within 2 s; .*limits\.load_s"),
    ],
)
def test_whatever_a_child_does_is_one_line(monkeypatch, tmp_path, program: str, message: str) -> None:
    monkeypatch.setattr(admission, "_COMMAND", command(program))
    bundle = replace(bundles.load(tiny.write(tmp_path / "b")), limits=LimitsConfig(load_s=2))
    started = time.monotonic()
    with pytest.raises(BundleError, match=message) as caught:
        admit(bundle, "fp32")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 10


def test_a_supervisor_is_told_that_the_start_goes_on(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(admission, "_COMMAND", ("-c", "import time; time.sleep(1)"))
    monkeypatch.setattr(admission, "_BEAT_S", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with pytest.raises(BundleError, match="gave no verdict"):
            admit(bundles.load(tiny.write(tmp_path / "b")), "fp32")
        receiver.setblocking(False)
        assert receiver.recv(100) == b"EXTEND_TIMEOUT_USEC=500000\nWATCHDOG=1"
        assert receiver.recv(100), "it is told more than once"


def test_no_child_is_one_line(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with pytest.raises(
        EdgeError, match=r"cannot be checked: no child process starts .* allow this user more"
    ):
        admit(bundles.load(tiny.write(tmp_path / "b")), "fp32")


@pytest.mark.parametrize("megabytes", [1, 4, 8, 16])
def test_the_memory_of_the_child_is_limited(megabytes: float) -> None:
    bundle = replace(bundles.load(), limits=LimitsConfig(load_mb=megabytes))
    with pytest.raises(BundleError, match=r"takes more memory than it may; .* a higher limits\.load_mb"):
        admit(bundle, "fp32")


@pytest.mark.parametrize(
    ("available_kb", "size", "most_mb"),
    [
        (300_000, 48, 156),  # what such a network may need
        (100_000, 48, 100),  # never more than the machine has left
        (10**9, 1024, 2148),  # however large the manifest says that faces are
    ],
)
def test_the_memory_is_that_of_the_network_and_of_the_machine(
    monkeypatch, available_kb: int, size: int, most_mb: int
) -> None:
    loaded = bundles.load()
    face = replace(loaded.manifest.input, size=size)
    bundle = replace(loaded, manifest=replace(loaded.manifest, input=face))
    limits: dict[int, int] = {}
    monkeypatch.setattr(admission_command, "_kilobytes", lambda path, _: available_kb * ("mem" in path))
    monkeypatch.setattr(admission_command, "_limit", limits.__setitem__)
    admission_command.confine(bundle, "fp32")
    assert limits[resource.RLIMIT_DATA] / 1e6 == pytest.approx(most_mb, abs=2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_child_and_the_run(tmp_path, number: int) -> None:
    pid, stub = tmp_path / "pid", tmp_path / "stub.py"
    stub.write_text(f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    program = (
        "import sys\n"
        "from edge.engines import admission\n"
        f"admission._COMMAND = ({str(stub)!r},)\n"
        "from edge.__main__ import main\n"
        "sys.exit(main(['run', 'demo', '--max-frames', '3', '--jsonl', '-']))\n"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, env=environment) as run:
        child = _number(pid)
        run.send_signal(number)
        _, words = run.communicate(timeout=20)
    assert (run.returncode, b"Traceback" in words) == (130, False), words
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def _number(file: Path) -> int:
    end = time.monotonic() + 20
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < end, "the child does not start"
        time.sleep(0.02)
    return int(file.read_text())
