"""An image autoencoder trained with a structural loss; `python -m examples.autoencoder --help` lists the options."""
