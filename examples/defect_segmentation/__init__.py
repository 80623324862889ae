"""Autoencoders that learn good pictures and mark defects; see `python -m examples.defect_segmentation --help`."""
