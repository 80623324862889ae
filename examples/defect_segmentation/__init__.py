"""Autoencoders that mark defects in textures; run them as `python -m examples.defect_segmentation --help`."""
