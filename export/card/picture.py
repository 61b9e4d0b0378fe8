"""The curves of a model card: robustness, delay against flips, answers against coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from edge.system.drawing import new_figure

_COLUMNS = 5


def draw(figures: Mapping[str, Any], path: Path, fit: Mapping[str, Any] | None = None) -> None:
    """Draw the curves of a bundle's figures into a PNG, and of its ``fit`` on somebody's own faces."""
    faults, conditions = figures["robustness"], figures["over_time"]
    count = len(faults) + len(conditions) + (3 if fit else 1)
    rows = -(-count // _COLUMNS)
    sheet = new_figure(figsize=(3.2 * _COLUMNS, 2.9 * rows), layout="constrained")
    axes = sheet.subplots(rows, _COLUMNS).flatten()
    for axis in axes[count:]:
        axis.set_visible(False)
    for axis, (name, curve) in zip(axes, faults.items(), strict=False):
        _robustness(axis, name, curve)
    for axis, (name, methods) in zip(axes[len(faults) :], conditions.items(), strict=False):
        _over_time(axis, name, methods)
    for first in (axes[0], axes[len(faults)]):
        first.legend(fontsize=7)
    _coverage(axes[len(faults) + len(conditions)], figures["precisions"]["fp32"]["coverage"])
    if fit:
        _fit(axes[count - 2 : count], fit)
    sheet.savefig(path, dpi=90)


def draw_fit(fit: Mapping[str, Any], path: Path) -> None:
    """Draw the curves of a fit into a PNG: how sure against how right, and answers against coverage."""
    sheet = new_figure(figsize=(9, 4), layout="constrained")
    _fit(sheet.subplots(1, 2), fit)
    sheet.savefig(path, dpi=90)


def _robustness(axis: Any, name: str, figures: Mapping[str, Any]) -> None:
    for (precision, shares), line in zip(figures["accuracy"].items(), cycle(("-", "--")), strict=False):
        axis.plot(figures["levels"], shares, line, marker="o", markersize=3, label=precision)
    axis.set_title(name, fontsize=10)
    axis.set(xlabel=figures["unit"], ylabel="accuracy", ylim=(0, 1))
    if figures["levels"][0] > figures["levels"][-1]:
        axis.invert_xaxis()


def _over_time(axis: Any, name: str, figures: Mapping[str, Any]) -> None:
    recurrent = [figures["recurrent"], *figures["recurrent_smoothed"]]
    for method, points in {**figures["smoothing"], "recurrent": recurrent}.items():
        points = sorted(points, key=lambda p: p["extra_changes"])
        axis.plot(
            [p["extra_changes"] for p in points], [p["delay_steps"] for p in points],
            marker="o", markersize=3, linewidth=2.5 if method == "recurrent" else 1, label=method,
        )  # fmt: skip
    axis.set_title(name, fontsize=10)
    axis.set(xlabel="needless label changes", ylabel="delay, steps")


def _coverage(axis: Any, rows: Sequence[Mapping[str, float]]) -> None:
    own, *others = (row for row in rows if row["answered"])
    axis.plot([r["answered"] for r in others], [r["accuracy"] for r in others], marker="o", markersize=3)
    axis.plot(own["answered"], own["accuracy"], "r*", markersize=12, label="threshold of this bundle")
    axis.set_title("answers against coverage", fontsize=10)
    axis.set(xlabel="faces answered", ylabel="of the answers right")
    axis.legend(fontsize=7)


def _fit(axes: Any, fit: Mapping[str, Any]) -> None:
    held_out, own = fit["held_out"], fit["held_out"]["precisions"]["fp32"]
    for what, bins in held_out["reliability"].items():
        temperature = fit["temperature"] if what == "fitted" else fit["before"]["temperature"]
        label = f"{what}, temperature {temperature:g}"
        axes[0].plot(
            [b["sure"] for b in bins], [b["right"] for b in bins], marker="o", markersize=3, label=label
        )
    axes[0].plot((0, 1), (0, 1), "k:", linewidth=1)
    axes[0].set_title("held-out faces: how sure, how right", fontsize=10)
    axes[0].set(xlabel="largest probability", ylabel="right", xlim=(0, 1), ylim=(0, 1))
    axes[0].legend(fontsize=7)
    if own["right"]:
        star = {"threshold": 0.0, "answered": own["answered"], "accuracy": own["right"]["value"]}
        _coverage(axes[1], [star, *held_out["coverage"]])
    axes[1].axhline(fit["target"], color="k", linestyle=":", linewidth=1)
    axes[1].set_title("held-out faces: answers against coverage", fontsize=10)
