"""For whoever mounts a camera: what a frame is worth for recognition, in numbers and hints, no picture."""
