"""emotion-edge: one recurrent step per tracked face, from camera to apparent expression."""

__version__ = "0.1.0"
