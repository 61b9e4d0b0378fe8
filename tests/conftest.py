"""What all tests share: an empty cache of the user, and a process that each of them leaves as it found it."""

import logging
import os
import signal

import pytest
from hypothesis import settings

# Property tests have a small fixed budget, with FULL=1 a large one; those that name one keep it.
settings.register_profile(
    "budget", settings(), max_examples=1000 if os.environ.get("FULL") else 50, deadline=None
)
settings.load_profile("budget")

# Tests run in as many processes as there are cores: each takes one of them, or all wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests that import ONNX Runtime before edge send nothing either.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# A shell's background job ignores Ctrl-C, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


@pytest.fixture(scope="session", autouse=True)
def empty_cache(tmp_path_factory):
    """No fetched detector, no remembered choice."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(autouse=True)
def log_and_signals():
    """A command line that runs in this process sets up the log and the signals for itself."""
    root = logging.getLogger()
    level, handlers = root.level, {number: signal.getsignal(number) for number in SIGNALS}
    yield
    root.setLevel(level)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for handler in root.handlers[:]:
        if type(handler).__name__ in ("StreamHandler", "JournalHandler"):
            root.removeHandler(handler)
