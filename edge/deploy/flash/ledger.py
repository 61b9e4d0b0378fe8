"""What was there before: kept within the root file system, so that it can be put back to the byte.

Before the first change, all that may change is copied beside a manifest. Whatever happens then, the manifest
says how far it went, and ``restore`` may be run, and interrupted, any number of times.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edge.deploy.flash import ledger_file
from edge.deploy.flash.entries import ABSENT, Entry, inside, look, same
from edge.deploy.flash.ledger_file import (
    BEGUN,
    DONE,
    FOLDER,
    KEPT,
    LEFT_OVER,
    MANIFEST,
    NONE,
    README,
    RESTORING,
)
from edge.deploy.flash.scope import Scope
from edge.deploy.flash.writes import Writes
from edge.errors import EdgeError


class Ledger:
    """The manifest of one root, and what it keeps."""

    def __init__(self, writes: Writes) -> None:
        self._writes, self._root = writes, writes.root

    def state(self) -> str:
        """One of those of ``ledger_file``. Raises EdgeError for a manifest that cannot be read."""
        return ledger_file.state(self._root)

    def about(self) -> str:
        """Which kit was put in."""
        return str(ledger_file.read(self._root)["about"])

    def begin(self, scope: Scope, about: str) -> None:
        """Keep all of ``scope``. Interrupted, nothing but FOLDER has changed."""
        self.restore()
        times = self._times(scope)
        self._writes.folder(FOLDER, 0o700)
        self._writes.file(README, ledger_file.TEXT, 0o600)
        self._writes.folder(KEPT, 0o700)
        before = dict[str, Entry]()
        for path, content in scope.entries(self._root):
            if path not in before and path != FOLDER and not path.startswith(f"{FOLDER}/"):
                before[path] = self._keep(path, content, len(before))
        ledger_file.write(
            self._writes,
            {"state": BEGUN, "about": about, "scope": vars(scope), "before": before, "times": times},
        )

    def settle(self) -> None:
        """All is in place: only what has changed is kept on."""
        manifest = ledger_file.read(self._root)
        changed = self._changed(manifest)
        after = {path: self._after(path) for path in changed}
        times = {
            path: time
            for path, time in manifest["times"].items()
            if look(self._root / path).get("mtime_ns") != time
        }
        ledger_file.write(
            self._writes, {**manifest, "state": DONE, "before": changed, "after": after, "times": times}
        )
        needed = {entry["copy"] for entry in changed.values() if "copy" in entry}
        for name in sorted(os.listdir(self._root / KEPT)):
            if f"{KEPT}/{name}" not in needed:
                (self._root / KEPT / name).unlink()

    def refuse_changes(self) -> None:
        """EdgeError if somebody has changed what a finished flash left; what is gone cannot get lost."""
        manifest = ledger_file.read(self._root)
        for path, before in manifest["before"].items():
            now, after = look(self._root / path), manifest["after"][path]
            new = before["kind"] == "absent"  # with all that it holds
            if same(now, after) and (not new or inside(self._root / path) == after["inside"]):
                continue
            if now != ABSENT and not same(now, before):
                raise EdgeError(_changed_since(self._root, path))

    def restore(self) -> None:
        """Put all back. Raises OSError; run again, it goes on."""
        if self.state() in (NONE, LEFT_OVER):
            self.clear()
            return
        manifest = ledger_file.read(self._root)
        changed = self._changed(manifest)
        if manifest["state"] == DONE:
            ledger_file.write(self._writes, {**manifest, "state": RESTORING})
        for path in sorted(changed, key=lambda path: -path.count("/")):
            if changed[path]["kind"] == "absent":
                self._writes.remove(path)
        for path in sorted(changed, key=lambda path: path.count("/")):
            self._put(path, changed[path])
        for path, time in sorted(manifest["times"].items(), key=lambda item: -item[0].count("/")):
            self._writes.time(path, time)
        self.clear(manifest["times"])

    def clear(self, times: dict[str, int] | None = None) -> None:
        """Remove FOLDER: the manifest first, without which the rest is rubbish."""
        if self.state() == NONE:
            return
        self._writes.remove(MANIFEST)
        self._writes.remove(FOLDER)
        for path in ("var/lib", "var", "."):
            if times and path in times:
                self._writes.time(path, times[path])

    def paths(self) -> dict[str, str]:
        """Path -> what has become of it: new, changed or gone."""
        manifest = ledger_file.read(self._root)
        return {
            path: "new" if before["kind"] == "absent" else "gone" if after["kind"] == "absent" else "changed"
            for path, before in manifest["before"].items()
            for after in [manifest.get("after", {}).get(path) or look(self._root / path)]
        }

    def _times(self, scope: Scope) -> dict[str, int]:
        """When each folder was changed last in which something may."""
        folders = {str(parent) for parent in Path(FOLDER).parents}
        for path, _ in scope.entries(self._root):
            folders.update(str(parent) for parent in (Path(path), *Path(path).parents))
        there = {path: look(self._root / path, content=False) for path in folders}
        return {path: entry["mtime_ns"] for path, entry in there.items() if entry["kind"] == "folder"}

    def _keep(self, path: str, content: bool, number: int) -> Entry:
        self._writes.step(f"keep {path}")
        entry = look(self._writes.at(path), content)
        if entry["kind"] != "file" or not content:
            return entry
        kept = f"{KEPT}/{number}"
        status, data = (self._root / path).lstat(), (self._root / path).read_bytes()
        with open(self._root / kept, "xb") as file:
            file.write(data)
        os.chown(self._root / kept, status.st_uid, status.st_gid)
        os.chmod(self._root / kept, status.st_mode & 0o7777)
        os.utime(self._root / kept, ns=(status.st_atime_ns, status.st_mtime_ns))
        return {**entry, "copy": kept}

    def _changed(self, manifest: dict[str, Any]) -> dict[str, Entry]:
        """Of what was, all that is not so any more; of a run that was not finished, with what it brought."""
        before = manifest["before"]
        names = list(before)
        if manifest["state"] == BEGUN:
            scope = Scope.of(manifest["scope"])
            names += [path for path, _ in scope.entries(self._root) if path not in before]
        found = dict[str, Entry]()
        for path in names:
            entry = before.get(path, ABSENT)
            by_size = "content" in entry and "copy" not in entry
            if not same(entry, look(self._root / path, not by_size)) and not _within(path, found):
                found[path] = entry
        return found

    def _after(self, path: str) -> Entry:
        return {**look(self._root / path), "inside": inside(self._root / path)}

    def _put(self, path: str, entry: Entry) -> None:
        if entry["kind"] == "folder":
            self._writes.folder(path, entry["mode"], entry["uid"], entry["gid"])
        elif entry["kind"] == "link":
            self._writes.link(path, entry["target"], entry["uid"], entry["gid"])
            self._writes.time(path, entry["mtime_ns"])
        elif "copy" in entry and (self._root / entry["copy"]).exists():
            self._writes.move(entry["copy"], path)
        elif entry["kind"] != "absent":
            raise EdgeError(
                f"{self._root / path} cannot be put back, it was not kept; unpack the root file system again"
            )


def _within(path: str, found: dict[str, Entry]) -> bool:
    """Whether a folder above it goes altogether."""
    return any(found.get(str(parent)) == ABSENT for parent in Path(path).parents)


def _changed_since(root: Path, path: str) -> str:
    if path.startswith("var/lib/dpkg/"):
        return (
            f"{root / path} has changed since the flash: packages came or went; take ours out with "
            f"`dpkg --root={root} --purge emotion-edge`, and remove {root / FOLDER}"
        )
    return (
        f"{root / path} has changed since the flash, and would be lost; copy it elsewhere, remove it, and "
        "run this again"
    )
