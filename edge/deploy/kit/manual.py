"""The manual page of the program on a board."""

from __future__ import annotations

from collections.abc import Mapping

_HEAD = """\
.TH EMOTION-EDGE 1 "{date}" "emotion-edge {version}" "User Commands"
.SH NAME
emotion-edge \\- apparent facial expression from a camera
.SH SYNOPSIS
.B emotion-edge
.I COMMAND
.RI [ OPTIONS ]
.SH DESCRIPTION
Tracks faces in a video and runs one recurrent step of a neural network for each of them.
On this board it runs as the service
.BR emotion-edge.service ,
with the settings in
.IR /etc/emotion-edge.toml .
What it estimates is the apparent expression of a face, not what somebody feels.
.SH COMMANDS
"""
_TAIL = """\
.SH EXIT STATUS
0: done. 1: a warning of
.B doctor
or
.BR status .
2: their fault, or an error, told in one line. 130: interrupted.
.SH FILES
.TP
.I /etc/emotion-edge.toml
Settings of the service.
.TP
.I /etc/emotion-edge/NAME.toml
Settings of emotion-edge@NAME.service, for a second camera.
.TP
.I /run/emotion-edge/health.json
Health of the service while it runs.
.TP
.I /var/lib/emotion-edge
Estimates.
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1)
"""


def page(commands: Mapping[str, str], version: str, date: str) -> str:
    """A page for man(1); ``commands``: name -> what it does."""
    rows = [f".TP\n.B {name}\n{_plain(text)}\n" for name, text in commands.items()]
    return _HEAD.format(date=date, version=version) + "".join(rows) + _TAIL


def _plain(text: str) -> str:
    return text.replace("%%", "%").replace("\\", "\\e").replace("-", "\\-")
