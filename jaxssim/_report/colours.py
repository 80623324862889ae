"""Gives the colours of maps of SSIM."""

import matplotlib

# Red, green and blue in [0, 1], from black for equal to pale yellow for the lower end of the scale. Lightness rises
# evenly, so that differences stand out to every eye, and in grey too.
MAP_COLOURS = [[round(float(part), 4) for part in colour] for colour in matplotlib.colormaps["magma"].colors]  # type: ignore[attr-defined]
