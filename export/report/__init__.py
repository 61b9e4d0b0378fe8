"""What is said of a bundle: figures on labelled sets, on video and over time, and the model card."""
