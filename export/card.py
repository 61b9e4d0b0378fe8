"""The model card, written from measured figures only."""

from __future__ import annotations

from math import prod
from typing import Any

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

## Figures
On PublicTest (never used for any choice), FER+ majority rule, one view per face, {steps} equal steps from zero:

| | n | accuracy | UAR | accuracy at step 1 |
|---|---|---|---|---|
{precision_rows}

Expected calibration error of fp32 (15 bins of equal mass): {ece:.3f}. Temperature {temperature:g}; answers whose
largest probability is under {abstain:g} are "uncertain": {answered:.0%} of these faces are answered, and
{selective:.1%} of the answers are right.

| class | n | recall, fp32 |
|---|---|---|
{class_rows}

Classes with a handful of rows (disgust, fear, contempt) have recalls that are anecdotes, not measurements.

On {sequences} generated sequences from PublicTest stills: {seq_accuracy:.1%} of steps right and
{seq_changes:.1f} label changes per sequence beyond the true ones. A linear head of its own on the same encoder,
without memory: {frame_accuracy:.1%} and {frame_changes:.1f}.

Largest difference between PyTorch and ONNX over 300 steps: {parity:.1e}.
"""


def model_card(manifest: dict[str, Any]) -> str:
    """Markdown from a manifest's own fields and its "evaluation"."""
    figures = manifest["evaluation"]
    fp32 = figures["precisions"]["fp32"]
    rows = [
        f"| {name} | {row['n']} | {row['accuracy']:.2%} | {row['uar']:.2%} | {row['accuracy_step_1']:.2%} |"
        for name, row in figures["precisions"].items()
    ]
    classes = [f"| {name} | {row['n']} | {row['recall']:.1%} |" for name, row in fp32["classes"].items()]
    over_time = figures["sequences"]
    return _TEMPLATE.format(
        name=manifest["name"],
        version=manifest["version"],
        license=manifest["license"][0].upper() + manifest["license"][1:] + ".",
        macs=figures["macs"] / 1e6,
        encoder=manifest["training"]["encoder"],
        size=manifest["input"]["size"],
        family=manifest["training"]["sequences"]["family"],
        floats=sum(prod(row["shape"]) for row in manifest["state"]),
        k=len(manifest["labels"]),
        hz=manifest["step_hz"],
        dev_share=manifest["training"]["dev_share"],
        generator=manifest["training"]["generator_version"],
        data_hash=manifest["training"]["data_sha256"],
        steps=figures["still_steps"],
        precision_rows="\n".join(rows),
        ece=fp32["calibration_error"],
        temperature=manifest["temperature"],
        abstain=manifest["abstain_below"],
        answered=fp32["answered"],
        selective=fp32["accuracy_of_answers"],
        class_rows="\n".join(classes),
        sequences=over_time["n"],
        seq_accuracy=over_time["recurrent"]["accuracy_per_step"],
        seq_changes=over_time["recurrent"]["extra_label_changes"],
        frame_accuracy=over_time["per_frame"]["accuracy_per_step"],
        frame_changes=over_time["per_frame"]["extra_label_changes"],
        parity=figures["parity"],
    )
