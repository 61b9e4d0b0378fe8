"""The page of a report shows what the report holds, loads nothing, and no text of a report becomes markup."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("matplotlib", reason="the plots need the extra [demo]")

from benchmarks.pages.canvas import POINTS
from benchmarks.pages.plots import _stages, plots
from benchmarks.pages.render import page
from edge.errors import DependencyError
from edge.system.json_schema import problems

SCHEMA = json.loads((files("benchmarks") / "bench.schema.json").read_text("utf-8"))
VOID = {"meta", "br"}
FINGERPRINT = {
    "board": "Raspberry Pi 5 Model B Rev 1.0",
    "kernel": "6.12.34+rpt-rpi-2712 aarch64",
    "libraries": {"python": "3.11.2", "numpy": "2.2.6", "onnxruntime": "1.22.1", "opencv": "4.11.0"},
    "cpu": {"governors": ["performance"] * 4, "model": "Cortex-A76"},
    "bundle": {"name": "mini-xception-gru", "sha256": "9f2c" * 16},
    "command": "emotion-bench pipeline --input clip.mp4 --rounds 5 --seed 7",
    "throttled": None,
}


def quantile(samples: Any, share: float) -> dict[str, Any]:
    value, room = float(np.quantile(samples, share)), 0.02 + 0.1 * share**8
    return {
        "value": value,
        "low": value * (1 - room / 2),
        "high": value * (1 + room) if share < 0.999 else None,
    }


def measured(
    name: str, median: float, group: str = "latency", n: int = 600, spread: float = 0.08
) -> dict[str, Any]:
    """Samples as a machine gives them: a log-normal body and a few stalls."""
    random = np.random.default_rng(len(name) + int(1000 * median))
    samples = median * np.exp(spread * random.standard_normal(n))
    samples[random.random(n) < 0.015] *= 1.9
    shares = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
    summary = {name: quantile(samples, share) for name, share in shares.items()}
    return {
        "name": name, "group": group, "unit": "ms", "better": "less",
        "rounds": [part.tolist() for part in np.array_split(samples, min(5, n))],
        "summary": {"n": n, "mean": float(samples.mean()), "max": float(samples.max()), **summary},
    }  # fmt: skip


def figure(
    name: str, value: Any, unit: str = "", asked: str = "", note: str = "", **ends: Any
) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "asked": asked, "note": note, **ends}


def report(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "schema": "emotion-bench/1", "kind": kind, "fingerprint": FINGERPRINT,
        "measurements": [], "figures": [], **more,
    }  # fmt: skip


def pipeline() -> dict[str, Any]:
    stages = {"capture": 0.42, "decode": 1.31, "detect": 3.92, "crop": 0.18, "network": 0.61, "publish": 0.09}
    precisions = {"fp32": (0.664, 0.652, 0.676, 0.612, 0.61), "int8-cpu": (0.659, 0.647, 0.671, 0.604, 0.37)}
    return report(
        "pipeline",
        measurements=[
            measured("frame, all stages", 6.6), measured("capture to estimate", 24.0, "age", spread=0.2),
            *(measured(name, median, "stage") for name, median in stages.items()),
        ],
        figures=[
            figure("frame, median", 6.61, "ms", "<= 33.3", low=6.58, high=6.66),
            figure("sum of the stages", 0.987, "of the whole", ">= 0.98", "rounds", low=0.975, high=0.992),
            figure("t_floor / median", 0.11, "", note="peaks measured on this machine"),
            figure("energy per frame", None, "mJ", "<= 40", note="no sensor"),
            figure("dropped frames", 1.3, "%", "<= 1 %", low=1.1, high=1.6),
        ],
        counts={"captured": 18000, "estimated": 17766, "dropped, queue full": 234},
        notes=["One face in every frame.", "Clocks were not fixed: the governor is ondemand."],
        accuracy=[
            {"precision": name, **dict(zip(("accuracy", "low", "high", "uar", "ms"), row, strict=True))}
            for name, row in precisions.items()
        ],
    )  # fmt: skip


def soak() -> dict[str, Any]:
    random = np.random.default_rng(5)
    times = np.arange(0, 3600, 0.04)
    ages = 24 + 3 * random.standard_normal(len(times)) + 9 * (times > 2400)
    ages[random.integers(0, len(times), 12)] += 160
    clock = [{"time_s": float(at), "soc_c": 83 - 35 * float(np.exp(-at / 500)) + float(random.normal(0, 0.4)),
              "pmic_c": 61 - 20 * float(np.exp(-at / 700)) if at < 3000 else None,
              "cpu_mhz": 2400.0 if at < 2400 else 1800.0, "board_w": 7.1 + float(random.normal(0, 0.15)),
              "throttled": "0x0" if at < 2400 else "0xe0008"} for at in range(0, 3600, 10)]  # fmt: skip
    return report(
        "soak",
        series=[
            {"name": "age", "unit": "ms", "time_s": times.tolist(), "values": np.abs(ages).tolist()},
            {"name": "memory", "unit": "MB", "time_s": [0, 600, 3599], "values": [88.1, 93.4, 93.6]},
        ],
        sensors=clock,
        measurements=[measured("capture to estimate", 24.0, "age", n=90000, spread=0.2)],
    )


def sweep() -> dict[str, Any]:
    return report(
        "sweep",
        measurements=[
            measured(f"faces {faces}, {width}x{height}, threads {threads}",
                     (1.1 + 0.61 * faces) * (width / 640) ** 0.8 / threads**0.6)
            for width, height in ((640, 480), (1280, 720)) for threads in (1, 4) for faces in (0, 1, 4, 8)
        ],
    )  # fmt: skip


def peers() -> dict[str, Any]:
    names = {
        "DeepFace": 14.2,
        "HSEmotion b0, ONNX": 3.4,
        "OpenCV Zoo MobileFaceNet": 1.12,
        "our own batch of one": 0.93,
    }
    return report(
        "peers",
        measurements=[measured(name, 6.1 * ratio) for name, ratio in {"emotion-edge": 1.0, **names}.items()],
        figures=[
            figure(f"{name} / emotion-edge, median time of a frame", ratio, "x", ">= 3" if ratio > 1 else "",
                   low=ratio * 0.93, high=ratio * 1.06)
            for name, ratio in names.items()
        ],
    )  # fmt: skip


REPORTS = {"pipeline": pipeline, "soak": soak, "sweep": sweep, "peers": peers}


class Reader(HTMLParser):
    """Tags that stand open must be closed in order; keeps the tags, the attributes and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [] if tag in VOID else [tag]
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def loads_nothing(text: str) -> None:
    read = Reader(text)
    assert not read.tags & {"script", "link", "img", "iframe", "object", "image", "foreignobject"}
    for name, value in read.attributes:
        assert not name.startswith("on"), name
        if name in ("src", "href", "xlink:href"):
            assert (value or "").startswith("#"), f"{name}={value}"
    assert not re.search(r"url\((?!#)|@import", "".join(value or "" for _, value in read.attributes))


@pytest.mark.parametrize("kind", REPORTS)
def test_a_page_is_well_formed_and_the_same_each_time(kind: str) -> None:
    made = REPORTS[kind]()
    assert not list(problems(made, SCHEMA, SCHEMA))
    text = page(made)
    loads_nothing(text)
    assert "http" not in text
    assert text == page(REPORTS[kind]())
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids)), "an id of one plot would be taken for that of another"


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        ("pipeline", ["Distribution of latency and age", "Where the time goes", "Accuracy beside speed"]),
        ("soak", ["Distribution of age", "Over time: age", "Over time: memory", "The machine over time"]),
        ("sweep", ["Median latency against faces", *(f"Distribution of latency, {part} of 16"
          for part in ("1 to 6", "7 to 12", "13 to 16"))]),
        ("peers", ["Compared with others", "Distribution of latency"]),
    ],
)  # fmt: skip
def test_each_plot_is_drawn_where_its_data_is(kind: str, titles: list[str]) -> None:
    assert [title for title, _ in plots(REPORTS[kind]())] == titles
    assert plots(report("start")) == []


def test_series_of_one_unit_share_a_plot() -> None:
    rows = [{"name": name, "unit": unit, "time_s": [0, 1, 2], "values": [5, 6, 5]}
            for name, unit in (("rate", "fps"), ("cpu", "%"), ("gpu", "%"))]  # fmt: skip
    assert [title for title, _ in plots(report("soak", series=rows))] == [
        "Over time: rate",
        "Over time: cpu, gpu",
    ]


def test_a_sensor_that_changes_its_word_is_marked() -> None:
    ((_, drawn),) = plots(report("soak", sensors=soak()["sensors"]))
    assert "dotted: 2400 s throttled: 0xe0008" in drawn


def test_many_samples_keep_their_tail_and_make_no_large_page() -> None:
    made = measured("frame", 6.0, n=200_000)
    made["rounds"][0][7] = 6000.0
    (_, drawn), = plots(report("pipeline", measurements=[made]))  # fmt: skip
    assert ">1000<" in drawn, "the axis does not reach the one slowest sample"
    assert max(line.count("L ") for line in re.findall(r'd="([^"]*)"', drawn)) <= POINTS
    assert len(page(soak())) < 250_000


@pytest.mark.parametrize("n", [600, 77])
def test_the_whisker_of_a_stall_stays_in_the_plot(n: int) -> None:
    calm, stalled = measured("crop", 0.2, group="stage", n=n), measured("network", 0.6, group="stage", n=n)
    stalled["summary"]["max"] = 90.0
    stalled["summary"]["p99"]["value"] = 80.0 if n >= 100 else None
    ((_, figure),) = _stages(report("pipeline", measurements=[calm, stalled]))
    assert figure.axes[0].get_xlim()[1] > (80 if n >= 100 else 90)
    words = {text.get_text() for text in figure.axes[0].texts}
    assert any(("p99 80.0" if n >= 100 else "max 90.0") in word for word in words)


def test_figures_bear_their_verdict() -> None:
    text = page(pipeline())
    assert '<td class="good">kept</td>' in text
    assert '<td class="good">kept, uncertain</td>' in text
    assert '<td class="bad">not kept</td>' in text


def test_the_page_holds_the_fingerprint_the_counts_and_the_notes() -> None:
    words = Reader(page(pipeline())).words
    facts = {"libraries.onnxruntime", "1.22.1", ", ".join(["performance"] * 4), "9f2c" * 16, "n/a"}
    for word in facts | {"17,766", "dropped, queue full", "One face in every frame.", "no sensor", "65.90%"}:
        assert word in words


def test_without_matplotlib_the_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DependencyError, match=r"emotion-edge\[demo\]"):
        page(pipeline())


ODD = st.text(max_size=30) | st.sampled_from(
    ["<script>alert(1)</script>", "</style><script>", '" onload="x', "$\\frac{$", "_hidden", "</svg>", "<!--",
     "&lt;", "]]>", "\ud800", "\x00\x1b[31m", "表情", "faces 3\n, x", "a\n\n\nb", "%s{}", "\u202e"]
)  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(ODD, ODD, ODD)
def test_no_text_of_a_report_becomes_markup(name: str, unit: str, text: str) -> None:
    measurement = {**measured("x", 3.0, n=20), "name": name, "unit": unit}
    made = report(
        "peers",
        fingerprint={"board": name, text: [unit, {"deep": text}]},
        measurements=[measurement, {**measurement, "name": text, "group": "stage"}],
        figures=[figure(name, 2.0, "x", ">= 3", text, low=1.5, high=2.5), figure(text, None, unit, text)],
        counts={name: 3}, notes=[text],
        series=[{"name": text, "unit": unit, "time_s": [0, 1], "values": [1, 2]}],
        sensors=[{"time_s": 0, f"{name}_c": 50.0, text: unit}, {"time_s": 1, f"{name}_c": None, text: text}],
        accuracy=[{"precision": text, "accuracy": 0.5, "ms": 2.0}],
    )  # fmt: skip
    made_page = page(made)
    made_page.encode()
    loads_nothing(made_page)
