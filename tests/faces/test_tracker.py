"""Tracks: who keeps a number, who gets one and who loses it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.data import Face
from edge.faces.square import square
from edge.faces.tracker import Tracker, iou

STEP = 1 / 15


def face(x: float, y: float = 100, side: float = 60, score: float = 0.9) -> Face:
    return Face(square(x, y, side), score)


def ids(tracker: Tracker, faces: list[Face] | None, time_s: float) -> list[int]:
    return [track.id for track in tracker.update(faces, time_s)]


def confirmed(*faces: Face) -> tuple[Tracker, float]:
    tracker = Tracker()
    tracker.update(list(faces), 0.0)
    tracker.update(list(faces), STEP)
    return tracker, STEP


def test_a_face_needs_two_detections() -> None:
    tracker = Tracker()
    assert ids(tracker, [face(100)], 0.0) == []
    assert ids(tracker, None, STEP) == []
    (track,) = tracker.update([face(101)], 2 * STEP)
    assert (track.id, track.steps, track.state) == (1, 0, ())


def test_a_single_frame_alarm_never_becomes_a_track() -> None:
    tracker, now = confirmed(face(100))
    assert ids(tracker, [face(100), face(400)], now + 0.1) == [1]
    assert ids(tracker, [face(100)], now + 0.2) == [1]
    assert ids(tracker, [face(100), face(250)], now + 0.3) == [1]


def test_confirm_one_shows_a_face_at_once() -> None:
    assert ids(Tracker(confirm=1), [face(100)], 0.0) == [1]


def test_no_detection_carries_tracks_on_and_no_faces_hides_them() -> None:
    tracker, now = confirmed(face(100))
    assert ids(tracker, None, now + 0.3) == [1]
    assert ids(tracker, [], now + 0.4) == []
    assert ids(tracker, None, now + 0.5) == []
    assert ids(tracker, [face(100)], now + 0.9) == [1]


def test_a_track_dies_after_lost_s_and_its_id_with_it() -> None:
    tracker, now = confirmed(face(100))
    assert ids(tracker, None, now + 1.1) == []
    assert ids(tracker, [face(100)], now + 1.2) == []
    assert ids(tracker, [face(100)], now + 1.3) == [2]


def test_time_that_jumps_back_ends_tracks() -> None:
    tracker = Tracker()
    for time_s in (50.0, 50.1):
        tracker.update([face(100)], time_s)
    assert ids(tracker, [face(100)], 0.0) == []


def test_a_detector_that_runs_once_per_lost_s_keeps_its_faces() -> None:
    tracker = Tracker(lost_s=0.1)
    seen = [ids(tracker, [face(100)], index * 0.1) for index in range(20)]
    assert seen[1:] == [[1]] * 19


def test_the_track_object_is_the_same_and_owns_its_state() -> None:
    tracker, now = confirmed(face(100))
    (track,) = tracker.update([face(100)], now + 0.1)
    track.state, track.steps = (np.ones(3, np.float32),), 7
    (again,) = tracker.update([face(104)], now + 0.2)
    assert again is track
    assert again.steps == 7
    assert again.face.box_xyxy == pytest.approx(face(104).box_xyxy)


def test_two_people_side_by_side_keep_their_ids_whatever_the_order() -> None:
    left, right = face(100), face(150)
    tracker, now = confirmed(left, right)
    first = {t.id: t.face.box_xyxy[0] for t in tracker.update([left, right], now + 0.1)}
    for index in range(2, 12):
        order = [right, left] if index % 2 else [left, right]
        assert {t.id: t.face.box_xyxy[0] for t in tracker.update(order, now + index / 10)} == first


@pytest.mark.parametrize(("side_a", "side_b"), [(60, 60), (60, 95)])
def test_crossing_faces_do_not_swap(side_a: float, side_b: float) -> None:
    tracker, way = Tracker(), {}
    for index in range(30):
        a, b = face(50 + 10 * index, 100, side_a), face(345 - 10 * index, 100, side_b)
        for track in tracker.update([a, b], index * STEP):
            way.setdefault(track.id, []).append(float(track.face.box_xyxy[[0, 2]].mean()))
    assert sorted(way) == [1, 2], f"ids {sorted(way)}"
    for xs in way.values():
        steps = np.sign(np.diff(xs))
        assert (steps == steps[0]).all(), f"a track turned round: {xs}"


def test_two_detections_of_one_face_make_one_track() -> None:
    tracker = Tracker()
    for index in range(5):
        tracks = tracker.update([face(100, score=0.7), face(104, side=66)], index * STEP)
    assert len(tracks) == 1
    assert tracks[0].face.score == pytest.approx(0.9), "the better detection was dropped"


def test_boxes_that_are_no_boxes_are_ignored() -> None:
    tracker, now = confirmed(face(100))
    bad = [Face(np.full(4, np.nan, np.float32), 1.0), Face(np.zeros(4, np.float32), 1.0)]
    assert ids(tracker, [*bad, face(100)], now + 0.1) == [1]
    assert ids(tracker, [*bad, face(100)], now + 0.2) == [1]


def test_iou() -> None:
    assert iou(face(100).box_xyxy, face(100).box_xyxy) == pytest.approx(1)
    assert iou(face(100).box_xyxy, face(130).box_xyxy) == pytest.approx(1 / 3)
    assert iou(face(100).box_xyxy, face(160).box_xyxy) == 0


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(-0.03, 0.03), st.integers(1, 3))
def test_a_face_that_moves_steadily_keeps_its_id(vx: float, vy: float, grow: float, every: int) -> None:
    tracker, x, y, side = Tracker(), 1000.0, 1000.0, 60.0
    for index in range(30):
        due = index % every == 0
        found = ids(tracker, [face(x, y, side)] if due else None, index * STEP)
        if index > every:
            assert found == [1], f"frame {index}"
        if (index + 1) % every == 0:
            x, y, side = x + vx * side, y + vy * side, side * (1 + grow)


boxes = st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(20, 120), st.integers(1, 99))
looks = st.none() | st.lists(boxes, max_size=5)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(looks, st.sampled_from([0.05, 0.3, 1.2])), min_size=2, max_size=20))
def test_ids_rise_are_never_reused_and_each_face_is_used_once(story: list) -> None:
    tracker, now, highest, gone, before, seen_s = Tracker(lost_s=0.7), 0.0, 0, set(), {}, {}
    for look, wait in story:
        now += wait
        faces = None if look is None else [face(x, y, side, score / 100) for x, y, side, score in look]
        tracks = tracker.update(faces, now)
        seen = [track.id for track in tracks]
        assert seen == sorted(set(seen))
        limit_s = tracker._pace.at_least(0.7) + 1e-5
        if faces is not None:
            seen_s.update(dict.fromkeys(seen, now))
        for track in tracks:
            assert now - seen_s[track.id] <= limit_s
            assert track.id not in gone, f"id {track.id} came back from the dead"
            assert track.id in before or track.id > highest, f"id {track.id} is not new"
        if faces is not None:
            used = [id(track.face) for track in tracks]
            assert len(set(used)) == len(used), "two tracks share one face"
            assert set(used) <= {id(f) for f in faces}
        before.update({track.id: track for track in tracks})
        gone |= {i for i in before if now - seen_s[i] > limit_s}
        highest = max([highest, *seen])


def test_a_moving_face_that_stops_while_hidden_is_found_where_it_was() -> None:
    tracker = Tracker()
    for index in range(10):
        tracker.update([face(100 + 15 * index)], index * STEP)
    assert ids(tracker, [], 10 * STEP) == []
    assert ids(tracker, [face(240)], 18 * STEP) == [1]


def test_the_typical_side_is_of_faces_that_may_start_a_track() -> None:
    tracker = Tracker(starts_at=0.5)
    assert (tracker.seen, tracker.side_px) == (0, None)
    for index, side in enumerate((20.4, 24.6, 300)):
        tracker.update([face(100, side=side), face(900, side=500, score=0.4)], index * 0.1)
    assert (tracker.seen, tracker.side_px) == (3, 25)
