"""Scores of images of any size with few programs: the machinery of `jaxssim.Evaluator`. Nothing here is public.

Each module imports only modules below it and what is outside this package. The way of an image runs from the bottom of
this list to the top:

    checks      the checks of the functions of the metrics, without reading a pixel
    pairs       a pair of images: its blocks, its sums, its scores
    shrinking   images that a convention shrinks first
    writer      strips of images on tapes; `jaxssim._core.tapes` computes a tape
    scores      what the metrics want of an image, and their values from its sums
    blocks      blocks of an image: read, halved, under windows
    sources     what slices like an array, and the errors of reading it
    axes        padding, shrinking and blocks along one axis
    prefetch    a generator that is advanced in a thread
"""
