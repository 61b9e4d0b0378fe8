"""One contract suite per protocol: every implementation passes it, each failure says what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.data import EmotionEstimate, Face, Frame
from edge.events import Event
from edge.protocols import Engine, EventSink, FaceDetector, PictureSink, Source


def check_source(source: Source, at_most: int = 20) -> list[Frame]:
    """Frames of ``source``: index and time rise, images are pictures. Returns what was read."""
    assert isinstance(source, Source), f"{type(source).__name__} lacks a member of Source"
    read: list[Frame] = []
    with source:
        for frame in source.frames():
            assert frame.image.dtype == np.uint8, f"image is {frame.image.dtype}, expected uint8"
            shape = frame.image.shape
            assert len(shape) == 2 or (len(shape) == 3 and shape[2] == 3), f"image has shape {shape}"
            assert frame.luma_range in ("full", "limited")
            if frame.drawn is not None:
                assert frame.drawn.dtype == np.uint8, f"drawn is {frame.drawn.dtype}, expected uint8"
                assert frame.drawn.ndim == 3, f"drawn has shape {frame.drawn.shape}, expected BGR"
                assert frame.drawn.shape[2] == 3, f"drawn has shape {frame.drawn.shape}, expected BGR"
            if read:
                assert frame.index > read[-1].index, f"index {frame.index} after {read[-1].index}"
                assert frame.timestamp_s > read[-1].timestamp_s, (
                    f"time {frame.timestamp_s} s after {read[-1].timestamp_s} s"
                )
            read.append(frame)
            if len(read) == at_most:
                break
    return read


def check_detector(detector: FaceDetector, frame: Frame) -> list[Face]:
    """Faces of ``frame``: squares with a positive side, score 0..1, best first."""
    assert isinstance(detector, FaceDetector), f"{type(detector).__name__} lacks a member of FaceDetector"
    before = frame.image.copy()
    with detector:
        faces = detector.detect(frame)
        again = detector.detect(frame)
        empty = detector.detect(Frame(np.full_like(frame.image, 128), frame.timestamp_s, frame.index))
    assert np.array_equal(frame.image, before), "detect wrote into the frame"
    assert empty == [], f"{len(empty)} faces in a flat gray picture"
    assert len(again) == len(faces), "the same frame gave another number of faces"
    for face in faces:
        x0, y0, x1, y1 = face.box_xyxy
        assert face.box_xyxy.dtype == np.float32, f"box is {face.box_xyxy.dtype}"
        assert x1 > x0, f"box {face.box_xyxy} has no width"
        assert abs((x1 - x0) - (y1 - y0)) < 0.01, f"box {face.box_xyxy} is no square"
        assert 0 <= face.score <= 1, f"score {face.score}"
        if face.landmarks is not None:
            assert face.landmarks.shape == (5, 2), f"landmarks have shape {face.landmarks.shape}"
    scores = [face.score for face in faces]
    assert scores == sorted(scores, reverse=True), f"faces are not sorted by score: {scores}"
    return faces


def check_engine(engine: Engine, batch_sizes: Sequence[int] = (1, 2, 5)) -> None:
    """Every batch size runs; rows do not see each other; the results are the caller's."""
    assert isinstance(engine, Engine), f"{type(engine).__name__} lacks a member of Engine"
    rng = np.random.default_rng(0)
    with engine:
        for size in batch_sizes:
            feeds = {
                name: rng.standard_normal((size, *(d or 1 for d in spec.shape[1:]))).astype(spec.dtype)
                for name, spec in engine.inputs.items()
            }
            before = {name: array.copy() for name, array in feeds.items()}
            outputs = engine.run(feeds)
            assert set(outputs) == set(engine.outputs), f"outputs {sorted(outputs)}"
            kept = {name: np.array(array) for name, array in outputs.items()}
            one = engine.run({name: array[:1] for name, array in feeds.items()})
            for name, array in outputs.items():
                assert array.shape[0] == size, f"{name} has {array.shape[0]} rows, expected {size}"
                assert np.array_equal(np.asarray(array), kept[name]), (
                    f"{name} changed under its owner's hands"
                )
                close = np.allclose(np.asarray(one[name])[0], np.asarray(array)[0], atol=1e-4)
                assert close, f"{name}: row 0 alone differs from row 0 in a batch"
            for name, array in feeds.items():
                assert np.array_equal(array, before[name]), f"run wrote into its input {name}"


def check_event_sink(sink: EventSink, events: Sequence[Event]) -> None:
    """Events, then none, then events again."""
    assert isinstance(sink, EventSink), f"{type(sink).__name__} lacks a member of EventSink"
    with sink:
        sink.write(events)
        sink.write([])
        sink.write(events)


def check_picture_sink(sink: PictureSink, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
    """Estimates, then none, then estimates again."""
    assert isinstance(sink, PictureSink), f"{type(sink).__name__} lacks a member of PictureSink"
    with sink:
        sink.write(frame, estimates)
        sink.write(frame, [])
        sink.write(frame, estimates)
