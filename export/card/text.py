"""The words of a model card; every figure in them comes from the manifest."""

from __future__ import annotations

from math import prod
from typing import Any

from export.card import tables as tables
from export.metrics.accuracy import ECE_BINS
from export.metrics.intervals import RESAMPLES

NAME, PICTURE = "MODEL_CARD.md", "MODEL_CARD.png"
_TEMPLATE = """# Model card: {name} {version}

One streaming step of {macs:.1f} million multiply-accumulates: a convolutional encoder ({encoder}) over one grey
{size}x{size} face crop and a {family} head with {floats} numbers of state per face, {k} labels. {hz:g} steps per second and face.

## Use
{license}

It tells the **apparent expression** in a picture: what people who look at the face would call it. It does not
know what anyone feels, and must not be used to judge people at work, in education, in hiring, in policing or in
medicine. Faces that are covered, very small or badly lit give worse answers (see Robustness); turned heads do, too, by how
much was not measured on real ones. "Uncertain" is a proper answer.
There is no valence or arousal in the output: no such labels were at hand, and a mapping from the eight shares
would be a summary of them, not a measurement.

## Data sheet
Training, selection, temperature and threshold: FER+ votes (Barsoum et al., ICMI 2016; MIT licence) on the
Training part of FER2013 (Goodfellow et al., 2013), whose pictures were collected from the web without an image
licence; hence the licence above. One twin group in {dev_share} of that part is the development fold. Sequences over
time are generated from stills (generator version {generator}); no real video was used, so time is synthetic.
As a rule ten crowd workers looked at each picture, not at the person. A class with a single vote is noise and loses it; a clear
majority is more than half of the votes that are left. {twins} rows of Training that PublicTest holds, too, were left out. The set is unbalanced,
in-the-wild web imagery without consent of those shown: performance by age, sex or skin tone was **not** measured,
and neither the pictures nor the votes are part of the bundle. SHA-256 of the data file: `{data_hash}`.

{folds}

{recipe}

## Stills
On {measured_on}; FER+ majority rule, one view per face, {steps} equal steps from zero; in brackets the
middle 95 % of {draws} bootstrap draws:

{stills}

{alike}

INT8 and float16 ran in ONNX Runtime on a processor; int8-trt and fp16 are meant for TensorRT, where nothing was measured.
What they lose on the same faces, in points, and over long generated sequences; the rarest classes have no budget:

{gate}

{seeds}

Expected calibration error ({bins} bins of equal mass) at temperature {temperature:g}: {ece}.

{classes}

{rare}

## "Uncertain"
{coverage}

The first row is the threshold of this bundle. What gets "uncertain" at that threshold:

{abstention}

Backs of heads were not at hand; on video it is the detector that has to leave them out, which was not measured either.

## Time
{sequences} generated sequences of {window} steps from the same stills. Beside the recurrent step: the same encoder with a linear
head without memory, trained on the same frames, raw and with the smoothing (exponential, majority window, hidden
Markov) that makes it most accurate, its strength chosen on these very sequences, which favours it, and its temperature on those of
the first group; smoothing takes each answer once or as often as it stands, whichever is more accurate. Then the recurrent step from
its zero state in every frame. In brackets the middle 95 % of {draws} draws of sequences. A label change is needless where
it does not bring the true label for the first time since that became true. A delay is counted in steps after a true
change; "of the delay" compares it with the quickest smoothing that is at least as steady. "No fault, no delay" is what
the network makes of the stills before the generator spoils them, each after {steps} equal steps. The network knows no clock: the runtime makes at most one step per
tick of {hz:g} Hz and holds the answer in between, which the last two groups show: as many seconds of a camera, in
whose frames changes and occlusions pass as many frames as they do steps above, and so much quicker.

{over_time}
{clips}

## Robustness
Accuracy on the same stills as the picture gets worse, one step from zero. They hold {size} pixels, and the runtime
shrinks larger faces to as many: faces of more pixels are made of these, and show what the crop does and not what detail
would add. Training shows each of these faults, up to about the middle of the strengths below. Each crop is scaled to its own mean and spread, so a
camera's range of luma (16 to 235 or 0 to 255) makes no difference; its gamma does, as darkness does. The faces came as
grey pictures, so how a camera weighs its colours was neither trained nor measured.

{robustness}

![Curves of the tables above]({picture})

Largest difference between PyTorch and ONNX over {proof_steps} steps: {parity:.1e}. This and the figures over seeds were
measured when the network was trained; `emotion-export card` measures all others again.
"""


_MEASURED_ON = {
    False: "PublicTest, which neither training nor the choice among seeds has seen",
    True: "the development fold (**a trial**: choices in training have seen it, so these figures flatter)",
}


def model_card(manifest: dict[str, Any]) -> str:
    """Markdown from a manifest's own fields, its "training" and its "evaluation"."""
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
        measured_on=_MEASURED_ON[bool(training.get("trial"))],
        gate=tables.gate(figures["gate"]),
        twins=figures["data_sheet"]["twins_left_out"],
        data_hash=training["data_sha256"],
        folds=tables.folds(figures["data_sheet"]["folds"]),
        steps=figures["still_steps"],
        window=manifest["trained_window"],
        recipe=tables.recipe(training),
        draws=RESAMPLES,
        stills=tables.stills(figures["precisions"], figures["without_memory"]),
        alike=tables.alike(figures),
        seeds=tables.seeds(training),
        classes=tables.classes(fp32, training["over_seeds"]),
        coverage=tables.coverage(fp32["coverage"]),
        abstention=tables.table(
            ("picture", "n", '"uncertain"'),
            (
                (name, row["n"], tables.of(row["uncertain"], row["n"]))
                for name, row in figures["abstention"].items()
            ),
        ),
        bins=ECE_BINS,
        ece=", ".join(
            f"{name} {row['calibration_error']:.3f}" for name, row in figures["precisions"].items()
        ),
        rare=tables.rare(fp32["classes"]),
        temperature=manifest["temperature"],
        sequences=figures["over_time"]["generated"]["n"],
        over_time=tables.over_time(figures["over_time"]),
        clips=tables.clips(figures["clips"]),
        robustness=tables.robustness(figures["robustness"]),
        proof_steps=manifest["proof"]["steps"],
        parity=manifest["proof"]["max_abs"],
        picture=PICTURE,
    )
