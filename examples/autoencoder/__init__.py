"""An image autoencoder trained with a structural loss; run it as `python -m examples.autoencoder --help`."""
