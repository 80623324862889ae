"""The machinery under the metrics, for those who change it. Nothing here is public.

Each module imports only modules below it and `jaxssim.conventions`. The way of a value runs from the
bottom of this list to the top, from `images` to `averaging`:

    tapes         sums over strips of images of any size, in arrays of one shape
    several       means of several functions of a window at once
    halving       means over all windows together with the images at half their size
    averaging     means over all windows, and their gradients, tile by tile on CPU
    windows       which windows count, and by which weight
    means         the mean of values, one axis after the other, with little rounding
    tiling        how a batch of images is cut into tiles
    formulas      luminance, contrast and structure from the statistics of a window
    statistics    mean and variance of every window
    gpu           mean and variance of every window on GPUs, without storing sum or difference
    filtering     passes along one axis: the law of total variance for values, weighted sums for derivatives
    resampling    padding, cropping and shrinking
    halos         images that several devices hold: exchanged pixels, and which windows count
    images        a pair of images; its sum and difference, less a constant offset near their values
    symmetric     whitening and eigenvalues of small symmetric matrices
    jvp           helpers for derivative rules
    platforms     a function for CPUs and one for other platforms, of which JAX traces one
    numerics      sums and means with little rounding
    xla           every workaround for the compiler

Sixteen functions have a derivative rule of their own:

    filtering     weighted_sum (its transpose)
    statistics    window_statistics, _moments_of_folded
    formulas      one_minus_product, quotient
    gpu           moments_of_both
    averaging     mean_over_windows, _value_and_gradients
    halving       _mean_and_half
    means         mean_of_values
    several       means_over_windows
    resampling    _means_along
    symmetric     eigh
    xla           sum_of_pixels
    numerics      absolute
    jvp           whatever jit_with_own_jvp wraps
"""
