"""The machinery under the metrics, for those who change it. Nothing here is public.

A value goes through these modules from top to bottom, and each imports only those below it and `jaxssim.conventions`:

    averaging     means over all windows, and their gradients, in tiles where that is faster
    tiling        how a batch of images is cut into tiles
    formulas      luminance, contrast and structure from the statistics of a window
    statistics    mean and variance of every window
    filtering     passes along one axis: the law of total variance, and the weighted sum
    resampling    padding, cropping and shrinking
    images        a pair of images; its sum and difference, less their offsets
    derivatives   derivatives along the tangents that are not zero
    numerics      sums and means that keep their digits
    xla           every workaround for the compiler
"""
