"""Shows what a metric overlooks: the best and the worst picture by one metric at an equal value of another.

Wang & Simoncelli 2008 let two metrics compete. From a picture with noise, gradient ascent finds the pictures that one
metric likes most and least among those that the other metric holds equal to the noisy one, and the other way round. If
such a pair looks very different, the metric that is held misses what eyes see.

    python -m examples.maximum_differentiation [PICTURE] [--metrics ssim mse] [--noise 0.1] [--steps 200]
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import lax
from jax.typing import ArrayLike
from matplotlib.figure import Figure
from skimage.data import camera
from skimage.util import img_as_float32

import jaxssim
from jaxssim._pictures import Unreadable, read, show_name, to_grey

Distance = Callable[[ArrayLike, ArrayLike], jax.Array]
Name = Literal["mse", "mae", "ssim", "ms_ssim", "cw_ssim", "iw_ssim", "ssimulacra2"]
DISTANCES: dict[str, Distance] = {  # of the picture and a distorted one; 0 for equal pictures
    "mse": functools.partial(jaxssim.mse, channel_axis=None),
    "mae": functools.partial(jaxssim.mae, channel_axis=None),
    "ssim": functools.partial(jaxssim.ssim_loss, data_range=1.0, channel_axis=None),
    "ms_ssim": functools.partial(jaxssim.ms_ssim_loss, data_range=1.0, channel_axis=None),
    "cw_ssim": functools.partial(jaxssim.cw_ssim_loss, channel_axis=None),
    "iw_ssim": functools.partial(jaxssim.iw_ssim_loss, data_range=1.0, channel_axis=None),
    "ssimulacra2": functools.partial(jaxssim.ssimulacra2_loss, data_range=1.0, channel_axis=None),
}
LABELS = {
    **{"mse": "MSE", "mae": "MAE", "ssim": "1 - SSIM", "ms_ssim": "1 - MS-SSIM", "cw_ssim": "1 - CW-SSIM"},
    **{"iw_ssim": "1 - IW-SSIM", "ssimulacra2": "error of SSIMULACRA 2"},
}
MAX_SIDE = 256  # pixels
CORRECTIONS = 8  # the most steps back to an equal value
TOLERANCE = 2e-4  # how far the value may be from equal, as a share of itself


@functools.partial(jax.jit, static_argnames=("moved", "held", "steps"))
def search(
    picture: jax.Array, start: jax.Array, rate: jax.Array, *, moved: str, held: str, steps: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Moves the distance `moved` of a distorted picture up, or down for a negative rate, while `held` stays equal.

    Args:
        picture: The original in [0, 1]: (height, width).
        start: The distorted picture to start from, of the same shape.
        rate: Root mean square of a step, in the picture's units.
        moved: The distance that changes, a key of `DISTANCES`.
        held: The distance that stays what it is at `start`, another key.
        steps: The number of steps. Their size falls to 0.

    Returns:
        The last picture in [0, 1], and its distances `moved` and `held`.
    """
    value_of_moved, value_of_held = (functools.partial(DISTANCES[name], picture) for name in (moved, held))
    target = value_of_held(start)

    def is_off(y: jax.Array) -> jax.Array:
        return abs(value_of_held(y) - target) > TOLERANCE * target

    def correct(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        i, y = state
        value, slope = jax.value_and_grad(value_of_held)(y)
        return i + 1, jnp.clip(y - quotient(value - target, jnp.vdot(slope, slope)) * slope, 0, 1)

    def step(y: jax.Array, i: jax.Array) -> tuple[jax.Array, None]:
        slope, normal = jax.grad(value_of_moved)(y), jax.grad(value_of_held)(y)
        along = slope - quotient(jnp.vdot(slope, normal), jnp.vdot(normal, normal)) * normal
        size = quotient(rate * (1 - i / steps), jnp.sqrt(jnp.mean(along**2)))
        y = jnp.clip(y + size * along, 0, 1)
        return lax.while_loop(lambda state: (state[0] < CORRECTIONS) & is_off(state[1]), correct, (jnp.asarray(0), y))[
            1
        ], None

    y, _ = lax.scan(step, start, jnp.arange(steps))
    return y, value_of_moved(y), value_of_held(y)


def quotient(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """Returns the quotient, or 0 where the denominator is 0: a metric at its worst value has no slope to follow."""
    return jnp.where(denominator == 0, 0, numerator / jnp.where(denominator == 0, 1, denominator))


def compete(
    picture: np.ndarray, noise: float, metrics: tuple[str, str], steps: int, rate: float, seed: int
) -> dict[str, tuple[np.ndarray, dict[str, float]]]:
    """Returns the noisy picture and the four pictures found, each with its distances, by their titles."""
    rng = np.random.default_rng(seed)
    start = np.clip(picture + noise * rng.standard_normal(picture.shape), 0, 1).astype(np.float32)
    found = {"start": (start, {name: float(DISTANCES[name](picture, start)) for name in metrics})}
    for moved, held in (metrics, metrics[::-1]):
        for word, sign in (("best", -1), ("worst", 1)):
            y, at_moved, at_held = search(picture, start, jnp.float32(sign * rate), moved=moved, held=held, steps=steps)
            found[f"{word} {moved}, equal {held}"] = (np.asarray(y), {moved: float(at_moved), held: float(at_held)})
    return found


def draw(found: dict[str, tuple[np.ndarray, dict[str, float]]]) -> Figure:
    """Draws the pictures side by side, with their distances."""
    figure = Figure(figsize=(3 * len(found), 3.8), layout="constrained")
    for axes, (title, (picture, distances)) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axes.set_title("\n".join([title, *(f"{LABELS[name]}: {value:.4g}" for name, value in distances.items())]))
        axes.set_axis_off()
    return figure


def load(path: Path | None) -> np.ndarray:
    """Returns a grey picture in [0, 1], its middle if a side is longer than MAX_SIDE: (height, width)."""
    if path is None:
        image = img_as_float32(camera())
    else:
        try:
            source = read(path)
        except Unreadable as error:
            raise SystemExit(f"cannot read {show_name(path)} as a picture: {error.reason}") from error
        image = to_grey(source.pixels).astype(np.float32) / np.float32(source.data_range)
    tops = (max(0, (n - MAX_SIDE) // 2) for n in image.shape)
    return image[tuple(slice(top, top + MAX_SIDE) for top in tops)]


def main(
    picture: tyro.conf.Positional[Path | None] = None,
    metrics: tuple[Name, Name] = ("ssim", "mse"),
    output: Path = Path("runs/maximum_differentiation.png"),
    noise: float = 0.08,
    steps: int = 200,
    rate: float = 0.01,
    seed: int = 0,
) -> None:
    """Draw the best and the worst picture by each of two metrics at an equal value of the other.

    Args:
        picture: A picture file; scikit-image's camera by default.
        metrics: The two metrics that compete. All are used as distances: 1 - SSIM, the error of SSIMULACRA 2.
        output: Where the figure is written, as PNG.
        noise: The standard deviation of the noise to start from, where white is 1.
        steps: The number of steps of each search.
        rate: The size of the first step, as a root mean square.
        seed: The seed of the noise.
    """
    found = compete(load(picture), noise, metrics, steps, rate, seed)
    for title, (_, distances) in found.items():
        print(f"{title:28}", *(f"  {LABELS[name]} {distances[name]:.6f}" for name in metrics))
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(found).savefig(output, dpi=100, bbox_inches="tight")
    print(f"The pictures: {output}")


if __name__ == "__main__":
    tyro.cli(main, prog="python -m examples.maximum_differentiation")
