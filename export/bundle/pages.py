"""One self-contained HTML page with what was proven; no script, nothing loaded from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem; padding: 0 1rem }
body { color: #1b1b1b; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .8rem; text-align: right }
th:first-child, td:first-child { text-align: left } tr { border-bottom: 1px solid #ddd }
.bad { color: #b00020; font-weight: 600 } .good { color: #0b6b2e; font-weight: 600 } code { font-size: .9em }
@media (prefers-color-scheme: dark) {
body { background: #16181a; color: #e6e6e6 } tr { border-color: #3a3d40 }
.good { color: #6fd08c } .bad { color: #ff8a80 } }
"""

_FIGURES = {
    "max_abs": "largest difference of a logit from the original, states carried over",
    "framework_max_abs": "the exported window from the network in its framework",
    "staggered_max_abs": "tracks that come and go in one batch, from each alone",
    "batch_max_abs": "a face in batches of 1, 4 and 8, from the face alone",
}


def proof_page(manifest: dict[str, Any]) -> str:
    """The page of a bundle's "proof"."""
    proof = manifest["proof"]
    rows = [
        (text, f"{proof[key]:.1e}", "1e-04", proof[key] <= 1e-4)
        for key, text in _FIGURES.items()
        if key in proof
    ]
    body = [
        f"<h1>{escape(manifest['name'])} {escape(manifest['version'])}</h1>",
        "<p>One streaming step with explicit recurrent state, compared with the network it was made from "
        f"over {proof['steps']} steps of real face sequences; the original answers at "
        f"{proof['compared_steps']} of them.</p>",
        checks(rows),
        _facts(manifest),
    ]
    if "agreement" in proof:
        body.append(_agreement(manifest))
    return page(f"{manifest['name']}: proof", "\n".join(body))


def page(title: str, body: str, style: str = "") -> str:
    """A whole document around ``body``; ``style`` is CSS beside its own."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def checks(rows: list[tuple[str, str, str, bool]]) -> str:
    """Table of (what, found, allowed, passed)."""
    lines = [
        f"<tr><td>{escape(what)}</td><td>{found}</td><td>{allowed}</td>"
        f'<td class="{"good" if passed else "bad"}">{"holds" if passed else "BROKEN"}</td></tr>'
        for what, found, allowed, passed in rows
    ]
    return (
        "<table><tr><th>check</th><th>found</th><th>allowed</th><th></th></tr>" + "".join(lines) + "</table>"
    )


def per_class(figures: dict[str, dict[str, Any]]) -> str:
    """Table of precision, recall and F1 of every class and precision; nothing where there are no figures."""
    lines = []
    for name, found in figures.items():
        heads = "".join(f"<th>{head}</th>" for head in ("n", "precision", "recall", "95 %", "F1"))
        lines.append(f"<tr><th>{escape(name)}</th>{heads}</tr>")
        for label, row in found["classes"].items():
            low, high = row["recall_95"]
            lines.append(
                f"<tr><td>{escape(label)}</td><td>{row['n']}</td><td>{row['precision']:.1%}</td>"
                f"<td>{row['recall']:.1%}</td><td>{low:.0%} to {high:.0%}</td><td>{row['f1']:.2f}</td></tr>"
            )
        lines.append(
            f"<tr><td>all</td><td>{found['n']}</td><td></td><td>{found['accuracy']:.2%} right</td>"
            f"<td>UAR {found['uar']:.2%}</td><td>ECE {found['ece']:.3f}</td></tr>"
        )
    return f"<h2>Per class</h2><table>{''.join(lines)}</table>" if lines else ""


def _facts(manifest: dict[str, Any]) -> str:
    spec = manifest["input"]
    state = (
        ", ".join(f"{row['input']} {'x'.join(map(str, row['shape']))}" for row in manifest["state"]) or "none"
    )
    facts = {
        "labels": ", ".join(manifest["labels"]),
        "face": f"{spec['size']}x{spec['size']}, {spec['channels']} channels, {spec['normalisation']}",
        "state of one track": state,
        "steps per second": f"{manifest['step_hz']:g}",
        "trained on windows of": f"{manifest['trained_window']} frames",
        "licence of the weights": manifest["license"],
    }
    lines = [f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in facts.items()]
    return "<h2>What runs</h2><table>" + "".join(lines) + "</table>"


def _agreement(manifest: dict[str, Any]) -> str:
    rows = manifest["proof"]["agreement"]
    steps = sorted({row["step"] for row in rows})
    head = "".join(f"<th>{step}</th>" for step in steps)
    lines = []
    for reset in dict.fromkeys(row["reset"] for row in rows):
        shares = {row["step"]: row["same_label"] for row in rows if row["reset"] == reset}
        cells = "".join(f"<td>{shares[step]:.0%}</td>" for step in steps)
        chosen = " (this bundle)" if reset == manifest["proof"]["reset"] else ""
        lines.append(f"<tr><td>{escape(reset)}{chosen}</td>{cells}</tr>")
    return (
        "<h2>A window is not a stream</h2><p>Share of sequences in which the stream gives the label that the "
        f"original gives on its sliding window of {manifest['trained_window']} frames, after so many steps "
        f"({rows[0]['n']} sequences). A stream that never forgets drifts from what the window knew; "
        "<code>--reset</code> chooses.</p>"
        f"<table><tr><th>reset</th>{head}</tr>{''.join(lines)}</table>"
    )
