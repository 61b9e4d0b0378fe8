"""What to do about a camera, in one line each, the most urgent first."""

from __future__ import annotations

from edge.aiming.aim import Aim

# Gray levels, and shares of the frame. Rules of thumb, for what a person at the camera can change:
# recognition itself gives up later, see edge.recognition.face_check.
_DARK, _BRIGHT = 40.0, 225.0
_WHITE = 0.25
_BACKLIT, _BACKLIT_BELOW = 0.4, 90.0  # light of the face over that of the frame
_WIDTHS = (640, 1280, 1920, 2560, 3840)  # that cameras have


def hints(aim: Aim, least_px: float, camera: bool, turn: int = 0, rotate: int = 0) -> list[str]:
    """What is wrong with ``aim``; none if all is well.

    ``least_px`` is decision.min_face_px; ``camera``: its size can be set. ``turn``: degrees clockwise that
    the frame would have to be turned by, see ``Turns``; ``rotate``: what source.rotate would have to be.
    """
    found = [_turned(turn, rotate), _light(aim), _size(aim, least_px, camera), _sharpness(aim, least_px)]
    if not aim.faces and not turn:
        found.append("no face is seen: stand where people will stand, and look at the camera")
    return [hint for hint in found if hint]


def _turned(turn: int, rotate: int) -> str:
    how = "upside down" if turn == 180 else "on its side"
    return f"the camera seems to be {how}: set source.rotate = {rotate}" if turn else ""


def _light(aim: Aim) -> str:
    light = aim.faces[0].light if aim.faces else aim.light
    where = "the face" if aim.faces else "the picture"
    if aim.faces and light < min(_BACKLIT * aim.light, _BACKLIT_BELOW):
        found = (
            f"light from behind: the face has {light:.0f}, the picture {aim.light:.0f}; turn the camera away"
        )
    elif light < _DARK:
        found = f"too dark: {where} has {light:.0f} of 255; add light, or set a longer source.exposure"
    elif light > _BRIGHT:
        found = f"too bright: {where} has {light:.0f} of 255; less light, or a shorter source.exposure"
    elif aim.white > _WHITE:
        share = f"{100 * aim.white:.0f} %"
        found = f"too bright: {share} of the picture is white; turn the camera from lamps and windows"
    else:
        found = ""
    return found


def _size(aim: Aim, least_px: float, camera: bool) -> str:
    small = [face.side_px for face in aim.faces if face.side_px < least_px]
    if not small:
        return ""
    if len(small) < len(aim.faces):
        return (
            f"{len(small)} of {len(aim.faces)} faces have less than the {least_px:g} pixels that are needed"
        )
    needed = aim.width * least_px / small[0]
    width = next((width for width in _WIDTHS if width >= needed), 0) if camera else 0
    or_set = f" or set source.width = {width}" if width > aim.width else ""
    return f"faces of {int(small[0])} pixels; {least_px:g} are needed: move closer{or_set}"


def _sharpness(aim: Aim, least_px: float) -> str:
    blurred = [face for face in aim.faces if face.side_px >= least_px and face.sharp < 1]
    if not blurred:
        return ""
    return "a face is not sharp: focus or clean the lens; if it moves, set a shorter source.exposure"
