"""Programs that show jaxssim in use, meant to be copied and changed; run them as `python -m examples.NAME`."""
