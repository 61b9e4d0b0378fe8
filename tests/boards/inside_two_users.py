"""Runs as one of two users: ``plant`` leaves what could mislead in a shared cache, ``look`` meets it.

``inside_two_users.py plant BUNDLE WAY``, ``inside_two_users.py look BUNDLE``: prints JSON.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from edge import bundle as bundles
from edge.config import Config, DetectorConfig, EngineConfig
from edge.engines import machine_cache, selection
from edge.engines.records import stored
from edge.engines.tensorrt import builder, plans
from edge.faces import detectors, fetch
from edge.health import restart
from edge.system.cache import cache_folder, keep_in_cache, library_cache, writable_cache

CONFIG = Config(engine=EngineConfig(kind="onnxruntime"))
KEY = plans.Key("tensorrt", "10.3.0", "Orin", "8.7", "6.2 (L4T 36.4.3)", "cafe", "ab" * 32, "int8-trt", 8)


def records(bundle: bundles.Bundle) -> Iterator[tuple[Path, bytes]]:
    """What would mislead, if it were believed: all of it is made of public facts."""
    choice = {"engine": "onnxruntime", "precision": "fp16", "threads": 2, "why": "planted"}
    for key in (machine_cache._choice_key(bundle, selection.traits(selection.backends_here(CONFIG))),):
        yield machine_cache._path("choice", key), stored(choice, machine_cache._digest(key))
    for precision, brief in product(bundle.precisions, (False, True)):
        key = machine_cache._verdict_key(bundle, precision, brief)
        good = {"min_cosine": 1.0, "label_changes": 0.0}
        yield machine_cache._path("golden", key), stored(good, machine_cache._digest(key))
    plan, sidecar = plans._paths(plans.default_folder(), KEY)
    sealed = {**asdict(KEY), "plan_sha256": hashlib.sha256(b"planted").hexdigest()}
    yield from ((plan, b"planted"), (sidecar, json.dumps(sealed).encode()))
    yield plan.with_name("timing-10.3.0.cache"), b"planted"
    yield plan.with_name("lock"), b""
    yield cache_folder() / fetch.YUNET_NAME, b"planted"
    yield cache_folder() / "matplotlib" / "fontlist-v390.json", b"{}"
    yield cache_folder() / "restart.json", record_of_restarts()
    yield cache_folder() / f".{fetch.YUNET_NAME}.00000000.part", b"planted"


def record_of_restarts() -> bytes:
    now_s, boot_id = restart._boot()
    return json.dumps({"boot_id": boot_id, "at_s": now_s, "count": 7, "reason": "planted"}).encode()


def by_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o666)


def by_link(path: Path, content: bytes) -> None:
    """To a file of the stranger's own, and for what the other one writes, to a file of hers or his."""
    target = Path(os.environ["HOME"]) / path.name
    by_file(target, content)
    Path(os.environ["HOME"]).chmod(0o755)
    path.symlink_to(os.environ["PRECIOUS"] if path.name == "restart.json" else target)


def by_pipe(path: Path, content: bytes) -> None:
    os.mkfifo(path, 0o666)
    path.chmod(0o666)


def by_folder(path: Path, content: bytes) -> None:
    path.mkdir(mode=0o777)


WAYS: dict[str, Callable[[Path, bytes], None]] = {
    "file": by_file, "link": by_link, "pipe": by_pipe, "folder": by_folder,
}  # fmt: skip


def plant(bundle: bundles.Bundle, way: str) -> int:
    """How many of the records were planted; those in places that are closed were not."""
    count = 0
    os.umask(0)
    for path, content in records(bundle):
        with suppress(OSError):
            path.parent.mkdir(mode=0o777, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                path.unlink()
            WAYS[way](path, content)
            count += 1
    return count


def look(bundle: bundles.Bundle) -> dict[str, Any]:
    """What this user's program believes."""
    keep_in_cache("GST_REGISTRY", "gstreamer", "registry.bin")
    planted = [folder for folder in (writable_cache("tmp"), library_cache("matplotlib")) if folder]
    return {
        "wanted": selection.wanted(CONFIG, bundle),
        "passed": [name for name in bundle.precisions if machine_cache.passed_before(bundle, name)],
        "plan": plans.find(plans.default_folder(), KEY) is not None,
        "timings": len(builder._timings(plans.default_folder() / "timing-10.3.0.cache")),
        "detector": detectors.choose(DetectorConfig(), bundle.folder)[0].name,
        "restarts": restart.restarts_here(),
        "of others": [
            str(path) for path in planted if path.stat().st_uid != os.geteuid() or [*path.iterdir()]
        ],
    }


def main(what: str, folder: str, way: str = "") -> None:
    logging.disable()
    bundle = bundles.load(Path(folder))
    print(json.dumps(look(bundle) if what == "look" else plant(bundle, way)))


if __name__ == "__main__":
    main(*sys.argv[1:])
