"""Measures what is fastest on this machine during a run, in a child process, and changes to that."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict

from edge.bundle import Bundle
from edge.engines.measure import Choice
from edge.engines.records import choice_from
from edge.engines.switching import Switching
from edge.errors import EdgeError
from edge.protocols import Engine
from edge.system.background import Background

log = logging.getLogger("edge")
DELAY_S = 3.0  # after the first frame, so that a short run never measures
_JOIN_S = 1.0  # how long closing waits for an engine that is being loaded


class Improving(Switching):
    """Runs ``first`` at once, and the measured engine as soon as there is one.

    ``delay_s`` seconds after the first frame, ``command`` measures and prints the Choice as JSON. ``load``
    opens the engine for it, with the same tensors as ``first``, so that the states of the tracks go on.
    Whatever fails in the background costs one line of the log. The caller says when an engine may be
    replaced: ``between_frames``.
    """

    def __init__(
        self, first: Engine, command: Sequence[str], load: Callable[[Choice], Engine], delay_s: float
    ) -> None:
        super().__init__(first)
        self._command, self._load, self._delay_s = command, load, delay_s
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._starting = threading.Lock()  # held while the child starts, so that closing cannot miss it
        self._child: Background | None = None
        self._better: tuple[Engine, Choice] | None = None  # loaded, to be used from the next frame

    def between_frames(self) -> None:
        """Begin to measure after the first frame, and later change the engine; never waits."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._improve, name="measuring", daemon=True)
            self._thread.start()
        elif self._better is not None:
            (engine, choice), self._better = self._better, None
            previous, self._now = self._now, engine
            previous.__exit__(None, None, None)
            log.info("measured in the background: %s: %s; %s serves now", choice, choice.why, engine.serves)

    def close(self) -> None:
        """End the child at once, and close the engines."""
        self._closed.set()
        with self._starting:
            if self._child is not None:
                self._child.kill()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        if self._better is not None:
            self._better[0].__exit__(None, None, None)
        super().close()

    def _improve(self) -> None:
        if self._closed.wait(self._delay_s):
            return
        try:
            choice = self._measured()
            engine = self._load(choice)
        except Exception as error:  # nothing that happens here may end the run
            if not self._closed.is_set():
                log.info("nothing was measured in the background (%s); %s stays", error, self.serves)
            return
        engine.__enter__()
        self._better = engine, choice

    def _measured(self) -> Choice:
        """What the child has found; EdgeError with its message if it failed."""
        with self._starting:
            if self._closed.is_set():
                raise EdgeError("the run has ended")
            child = self._child = Background(self._command)
        try:
            child.wait()
            if fault := child.fault():
                raise EdgeError(fault)
            return choice_from(child.output())
        finally:
            with self._starting:
                self._child = None
                child.free()


def command(bundle: Bundle, kind: str) -> list[str]:
    """The child that measures ``bundle`` with the backends of ``engine.kind``."""
    limits = json.dumps(asdict(bundle.limits))
    return [sys.executable, "-m", "edge.engines.measure_command", str(bundle.folder.resolve()), kind, limits]
