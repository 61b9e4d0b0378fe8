"""emotion-edge: one recurrent step per tracked face, from camera to apparent expression."""

from edge.version import __version__ as __version__
