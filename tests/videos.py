"""Small videos of a photograph, for the tests of `jaxssim video`."""

from fractions import Fraction

import av
import numpy as np
from commands import crop

COUNT = 4


def write_video(path, size=(96, 64), noise=0, equal=0, format="yuv420p", codec="ffv1", rate=25, count=COUNT, seed=0):
    """Writes frames that move over a photograph, the first EQUAL without noise, and no loss if the codec has none."""
    rng = np.random.default_rng(seed)
    picture = crop("coffee", 200, 300)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = *size, format
        for k in range(count):
            image = picture[5 * k : 5 * k + 64, 3 * k : 3 * k + 96].astype(int)
            image += (noise * (k + 1) * (k >= equal) * rng.standard_normal(image.shape)).astype(int)
            frame = av.VideoFrame.from_ndarray(image.clip(0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame.reformat(*size, format)))
        container.mux(stream.encode(None))
    return path
