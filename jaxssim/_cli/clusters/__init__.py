"""The parts of `jaxssim cluster`.

`jaxssim.pairwise` compares every picture with every other. scikit-learn clusters the pictures by spectral clustering
and by affinity propagation, and scores the clusters against the true labels where these are known.
"""
