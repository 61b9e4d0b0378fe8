"""The model card, written from measured figures only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from edge.errors import require

_TEMPLATE = """# Model card: {name} {version}

One streaming step: a {macs:.1f} million multiply-accumulate convolutional encoder ({encoder}) over one grey
{size}x{size} face crop, a {family} head with {floats} numbers of state per face, {k} labels. {hz:g} steps per second and face.

## Use
{license}

It tells the **apparent expression** in a picture: what people who look at the face would call it. It does not
know what anyone feels, and must not be used to judge people at work, in education, in hiring, in policing or in
medicine. Faces turned away, covered, very small or badly lit give worse answers; "uncertain" is a proper answer.

## Data
Training, selection, temperature and threshold: FER+ votes (Barsoum et al., ICMI 2016; MIT licence) on the
Training part of FER2013 (Goodfellow et al., 2013), whose pictures were collected from the web without an image
licence; hence the licence above. One twin group in {dev_share} of that part is the development fold. Sequences over
time are generated from stills (generator version {generator}); no real video was used, so time is synthetic.
The set is unbalanced, in-the-wild web imagery: performance by age, sex or skin tone was **not** measured.
SHA-256 of the data file: `{data_hash}`.

## Stills
On PublicTest (never used for any choice), FER+ majority rule, one view per face, {steps} equal steps from zero;
in brackets the middle 95 % of 1,000 bootstrap draws:

{stills}

Expected calibration error of fp32 (15 bins of equal mass): {ece:.3f}, at temperature {temperature:g}.

{classes}

Classes with a handful of rows (disgust, fear, contempt) have recalls that are anecdotes, not measurements.

## "Uncertain"
{coverage}

The first row is the threshold of this bundle. What gets "uncertain" at that threshold:

{abstention}

## Time
{sequences} generated sequences of {window} steps from PublicTest stills. Beside the recurrent step: the same encoder with a head
without memory, trained on the same frames, raw and with the smoothing (exponential, majority window, hidden
Markov) that makes it most accurate. A delay is counted in steps after a true change.

{over_time}

## Robustness
Accuracy on the same stills as the picture gets worse, one step from zero:

{robustness}

![Curves of the tables above](model-card.png)

Largest difference between PyTorch and ONNX over {proof_steps} steps: {parity:.1e}.
"""


def model_card(manifest: dict[str, Any]) -> str:
    """Markdown from a manifest's own fields and its "evaluation"."""
    figures, training = manifest["evaluation"], manifest["training"]
    fp32 = figures["precisions"]["fp32"]
    return _TEMPLATE.format(
        name=manifest["name"],
        version=manifest["version"],
        license=manifest["license"][0].upper() + manifest["license"][1:] + ".",
        macs=figures["macs"] / 1e6,
        encoder=training["encoder"],
        size=manifest["input"]["size"],
        family=training["sequences"]["family"],
        floats=sum(prod(row["shape"]) for row in manifest["state"]),
        k=len(manifest["labels"]),
        hz=manifest["step_hz"],
        dev_share=training["dev_share"],
        generator=training["generator_version"],
        data_hash=training["data_sha256"],
        steps=figures["still_steps"],
        window=manifest["trained_window"],
        stills=_stills(figures["precisions"]),
        classes=_classes(fp32),
        coverage=_coverage(fp32["coverage"]),
        abstention=_table(
            ("picture", "n", '"uncertain"'),
            ((name, row["n"], f"{row['uncertain']:.0%}") for name, row in figures["abstention"].items()),
        ),
        ece=fp32["calibration_error"],
        temperature=manifest["temperature"],
        sequences=figures["over_time"]["generated"]["n"],
        over_time=_over_time(figures["over_time"]),
        robustness=_robustness(figures["robustness"]),
        proof_steps=manifest["proof"]["steps"],
        parity=manifest["proof"]["max_abs"],
    )


def _table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    lines = [list(map(str, row)) for row in (head, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _share(value: float, interval: Iterable[float]) -> str:
    low, high = interval
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def _stills(precisions: Mapping[str, Any]) -> str:
    return _table(
        ("", "n", "accuracy", "UAR", "accuracy at step 1"),
        (
            (name, row["n"], _share(row["accuracy"], row["accuracy_95"]), _share(row["uar"], row["uar_95"]),
             f"{row['accuracy_step_1']:.1%}")
            for name, row in precisions.items()
        ),
    )  # fmt: skip


def _classes(fp32: Mapping[str, Any]) -> str:
    return _table(
        ("class", "n", "recall, fp32"),
        (
            (name, row["n"], _share(row["recall"], fp32["recall_95"][name]))
            for name, row in fp32["classes"].items()
        ),
    )


def _coverage(rows: list[dict[str, float]]) -> str:
    own, *others = rows
    chosen = [own, *(row for row in others if round(20 * row["threshold"]) % 2 == 0)]
    return _table(
        ("largest probability at least", "faces answered", "of the answers right"),
        ((f"{r['threshold']:g}", f"{r['answered']:.0%}", f"{r['accuracy']:.1%}") for r in chosen),
    )


def _over_time(conditions: Mapping[str, Any]) -> str:
    rows = []
    for condition, found in conditions.items():
        best = found["best_smoothing"]
        for name, row in (
            ("recurrent", found["recurrent"]), ("per frame", found["per_frame"]), ("per frame, best smoothing", best)
        ):  # fmt: skip
            rows.append((condition, name, f"{row['accuracy']:.1%}", row["extra_changes"], row["delay_steps"]))
    return _table(("sequences", "", "steps right", "label changes too many", "delay"), rows)


def _robustness(faults: Mapping[str, Any]) -> str:
    rows = []
    for name, found in faults.items():
        shares = found["accuracy"]["fp32"]
        cells = [f"{level:g}: {share:.0%}" for level, share in zip(found["levels"], shares, strict=True)]
        rows.append((name, found["unit"], ", ".join(cells)))
    return _table(("fault", "strength", "accuracy by strength, fp32"), rows)


def picture(figures: Mapping[str, Any], path: Path) -> None:
    """Draw robustness, delay against flips, and answers against coverage of a manifest's "evaluation"."""
    require("matplotlib", "pip install matplotlib")
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(12, 9), layout="constrained")
    axes = sheet.subplots(3, 4).flatten()
    for axis, (name, found) in zip(axes, figures["robustness"].items(), strict=False):
        for precision, shares in found["accuracy"].items():
            axis.plot(found["levels"], shares, marker="o", markersize=3, label=precision)
        axis.set(title=name, xlabel=found["unit"], ylim=(0, 1))
        if found["levels"][0] > found["levels"][-1]:
            axis.invert_xaxis()
    axes[0].set_ylabel("accuracy")
    axes[4].set_ylabel("accuracy")
    axes[0].legend(fontsize=7)
    for axis, (condition, found) in zip(axes[8:], figures["over_time"].items(), strict=False):
        for name, points in {
            **found["smoothing"],
            "recurrent": [found["recurrent"], *found["recurrent_smoothed"]],
        }.items():
            points = sorted(points, key=lambda p: p["extra_changes"])
            axis.plot(
                [p["extra_changes"] for p in points], [p["delay_steps"] for p in points],
                marker="o", markersize=3, linewidth=2.5 if name == "recurrent" else 1, label=name,
            )  # fmt: skip
        axis.set(title=condition, xlabel="label changes too many", ylabel="delay, steps")
        axis.title.set_fontsize(9)
    axes[8].legend(fontsize=7)
    rows = figures["precisions"]["fp32"]["coverage"]
    axes[11].plot(
        [r["answered"] for r in rows[1:]], [r["accuracy"] for r in rows[1:]], marker="o", markersize=3
    )
    axes[11].plot(rows[0]["answered"], rows[0]["accuracy"], "r*", markersize=12)
    axes[11].set(title="answers against coverage", xlabel="faces answered", ylabel="of the answers right")
    sheet.savefig(path, dpi=90)
