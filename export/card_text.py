"""The words and tables of a model card, from measured figures only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

NAME, PICTURE = "MODEL_CARD.md", "MODEL_CARD.png"
_TEMPLATE = """# Model card: {name} {version}

One streaming step: a {macs:.1f} million multiply-accumulate convolutional encoder ({encoder}) over one grey
{size}x{size} face crop, a {family} head with {floats} numbers of state per face, {k} labels. {hz:g} steps per second and face.

## Use
{license}

It tells the **apparent expression** in a picture: what people who look at the face would call it. It does not
know what anyone feels, and must not be used to judge people at work, in education, in hiring, in policing or in
medicine. Faces turned away, covered, very small or badly lit give worse answers; "uncertain" is a proper answer.
There is no valence or arousal in the output: no such labels were at hand, and a mapping from the eight shares
would be a summary of them, not a measurement.

## Data sheet
Training, selection, temperature and threshold: FER+ votes (Barsoum et al., ICMI 2016; MIT licence) on the
Training part of FER2013 (Goodfellow et al., 2013), whose pictures were collected from the web without an image
licence; hence the licence above. One twin group in {dev_share} of that part is the development fold. Sequences over
time are generated from stills (generator version {generator}); no real video was used, so time is synthetic.
Ten crowd workers looked at each picture, not at the person, and single votes count as noise; a clear majority is more
than half of the rest. {twins} rows of Training that PublicTest holds, too, were left out. The set is unbalanced,
in-the-wild web imagery without consent of those shown: performance by age, sex or skin tone was **not** measured,
and neither the pictures nor the votes are part of the bundle. SHA-256 of the data file: `{data_hash}`.

{folds}

## Stills
On PublicTest (never used for any choice), FER+ majority rule, one view per face, {steps} equal steps from zero;
in brackets the middle 95 % of 1,000 bootstrap draws:

{stills}

{seeds}

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
Markov) that makes it most accurate. A delay is counted in steps after a true change; "of the delay" compares it
with the quickest smoothing that is at least as steady. The network knows no clock: the runtime makes at most one step
per tick of {hz:g} Hz and holds the answer in between, which the last two groups show.

{over_time}

## Robustness
Accuracy on the same stills as the picture gets worse, one step from zero:

{robustness}

![Curves of the tables above]({picture})

Largest difference between PyTorch and ONNX over {proof_steps} steps: {parity:.1e}.
"""


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
        twins=figures["data_sheet"]["twins_left_out"],
        data_hash=training["data_sha256"],
        folds=_folds(figures["data_sheet"]["folds"]),
        steps=figures["still_steps"],
        window=manifest["trained_window"],
        stills=_stills(figures["precisions"]),
        seeds=_seeds(training["over_seeds"]),
        classes=_classes(fp32, training["over_seeds"]),
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
        picture=PICTURE,
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


def _seeds(found: Mapping[str, Any]) -> str:
    accuracy, uar = (
        f"{_share(row['mean'], row['interval_95'])} from {', '.join(f'{one:.1%}' for one in row['each'])}"
        for row in (found["accuracy"], found["uar"])
    )
    return (
        f"The recipe from seeds {', '.join(map(str, found['seeds']))}, in PyTorch, over draws of seeds and faces: "
        f"accuracy {accuracy}; UAR {uar}. The one that is best on the development fold ships."
    )


def _classes(fp32: Mapping[str, Any], seeds: Mapping[str, Any]) -> str:
    rows = []
    for name, row in fp32["classes"].items():
        over = seeds["recall"][name]
        own = _share(row["recall"], fp32["recall_95"][name])
        rows.append((name, row["n"], own, _share(over["mean"], over["interval_95"])))
    return _table(("class", "n", "recall, fp32", "recall, mean of the seeds"), rows)


def _folds(folds: Mapping[str, Any]) -> str:
    labels = next(iter(folds.values()))["clear_majority"]
    columns = folds.values()
    rows: list[tuple[Any, ...]] = [("faces", *(fold["faces"] for fold in columns))]
    rows += [(label, *(fold["clear_majority"][label] for fold in columns)) for label in labels]
    rows += [
        ("no clear majority, or no face", *(fold["no_clear_majority"] for fold in columns)),
        ("usable as a soft target", *(fold["usable_as_soft_target"] for fold in columns)),
        ("largest share of votes, mean", *(f"{fold['largest_share_of_votes']:.0%}" for fold in columns)),
    ]
    return _table(("", *folds), rows)


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
            cells = (f"{row['accuracy']:.1%}", row["extra_changes"], row["delay_steps"])
            rows.append((condition, name, *cells, _ahead(found) if name == "recurrent" else ""))
    head = ("sequences", "", "steps right", "label changes too many", "delay", "ahead of the best smoothing")
    return _table(head, rows)


def _ahead(found: Mapping[str, Any]) -> str:
    delay = "" if found["delay_share"] is None else f", {found['delay_share']:.0%} of the delay"
    return f"{found['points_ahead']:+.1f} points{delay}"


def _robustness(faults: Mapping[str, Any]) -> str:
    rows = []
    for name, found in faults.items():
        shares = found["accuracy"]["fp32"]
        cells = [f"{level:g}: {share:.0%}" for level, share in zip(found["levels"], shares, strict=True)]
        rows.append((name, found["unit"], ", ".join(cells)))
    return _table(("fault", "strength", "accuracy by strength, fp32"), rows)
