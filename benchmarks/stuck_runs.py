"""Counts the trainings with a structural loss that get stuck in flat grey or diverge, without and with each cure.

    PYTHONPATH=. python benchmarks/stuck_runs.py [--seeds 10] [--steps 300] [--cures NAME ...] [--output DIR]

Ordinary convolutional autoencoders with ReLU and sigmoid train from random weights, with Adam, a warm-up and a cosine,
on 32x32 crops in grey: one with a dense code on the texture brick, one with a convolutional code on photographs. Each
runs with 1 - SSIM and 1 - MS-SSIM (two scales), at three learning rates, from every seed. The scores are of crops that
no network was trained on. A run is stuck, or has diverged, where `examples.stuck.verdict` says so.
"""

import itertools
import statistics
from collections import Counter
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import measuring
import numpy as np
import optax
from flax import nnx
from skimage import color, data

import jaxssim
from examples.gentle_start import LAST, ssim_constants
from examples.stuck import structure, verdict

CROP, BATCH = 32, 8
RATES = (1e-3, 3e-3, 1e-2)
WIDTHS = (8, 16, 32)
FIRST_PART = 0.2  # of the steps, with MSE
LOSSES = {"SSIM": jaxssim.ssim_loss, "MS-SSIM": partial(jaxssim.ms_ssim_loss, weights=(0.4, 0.6))}


class Cure(NamedTuple):
    """The settings of a training, numbers that one compiled program takes."""

    clip: float = np.inf  # largest norm of the gradients
    warm_up: float = 0.1  # of the steps
    mse_first: float = 0.0  # weight of MSE in the first part of the steps, in place of the structural loss
    l1: float = 0.0  # weight of L1, added throughout
    gentle: float = 0.0  # 1 to begin with large constants, as `examples.gentle_start` does


CURES = {
    "none": Cure(),
    "gradients clipped to norm 1": Cure(clip=1.0),
    "warm-up over a third": Cure(warm_up=1 / 3),
    "MSE for the first fifth": Cure(mse_first=10.0),
    "sum with 16 L1": Cure(l1=16.0),
    "k1 and k2 from 1": Cure(gentle=1.0),
    "k1 and k2 from 1, warm-up over a third": Cure(gentle=1.0, warm_up=1 / 3),
}


class Conv(nnx.Linear):
    """A convolution of 3x3, or of 4x4 with stride 2, as a matrix product: XLA is slow at its gradient on CPU."""

    def __init__(self, inputs, outputs, stride, rngs):
        """Initialises the kernel as `nnx.Conv` does."""
        self.stride, self.size = stride, 3 if stride == 1 else 4
        super().__init__(self.size**2 * inputs, outputs, rngs=rngs)

    def __call__(self, x):
        """Maps (batch, height, width, inputs) to (batch, height / stride, width / stride, outputs)."""
        height, width = x.shape[1:3]
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        starts = [(i, j) for i in range(self.size) for j in range(self.size)]
        taps = [x[:, i : i + height : self.stride, j : j + width : self.stride] for i, j in starts]
        return super().__call__(jnp.concatenate(taps, -1))


class Autoencoder(nnx.Module):
    """Maps crops (batch, 32, 32, 1) to codes, of 32 values or of 4x4x16, and back."""

    def __init__(self, dense, rngs):
        """Initialises the weights; `dense` says which code."""
        a, b, c = WIDTHS
        self.encoder = nnx.List([Conv(1, a, 2, rngs), Conv(a, b, 2, rngs), Conv(b, c, 2, rngs)])
        features, code = ((CROP // 8) ** 2 * c, 32) if dense else (c, 16)
        self.squeeze, self.expand = nnx.Linear(features, code, rngs=rngs), nnx.Linear(code, features, rngs=rngs)
        self.decoder = nnx.List([Conv(c, 4 * b, 1, rngs), Conv(b, 4 * a, 1, rngs), Conv(a, 4, 1, rngs)])

    def __call__(self, x):
        """Returns the reconstructions of crops."""
        for layer in self.encoder:
            x = nnx.relu(layer(x))
        code = self.squeeze(x.reshape(len(x), -1) if self.squeeze.in_features > WIDTHS[-1] else x)
        x = nnx.relu(self.expand(code)).reshape(x.shape)
        *hidden, last = self.decoder
        for layer in hidden:
            x = double(nnx.relu(layer(x)))
        return nnx.sigmoid(double(last(x)))


def double(x):
    """Returns (batch, 2 height, 2 width, channels / 4): four channels become the pixels of a 2x2 block."""
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height, width, 2, 2, channels // 4).swapaxes(2, 3)
    return blocks.reshape(batch, 2 * height, 2 * width, channels // 4)


def grey(name):
    """Returns a picture of scikit-image as float32 (height, width, 1) in [0, 1]."""
    picture = getattr(data, name)()
    picture = color.rgb2gray(picture) if picture.ndim == 3 else picture / 255
    return picture[..., None].astype(np.float32)


def crops(pictures, count, rng):
    """Returns `count` random crops of each picture."""
    corners = [(picture, rng.integers(0, np.subtract(picture.shape[:2], CROP - 1))) for picture in pictures * count]
    return np.stack([picture[i : i + CROP, j : j + CROP] for picture, (i, j) in corners])


def cases():
    """Returns by name: whether the code is dense, crops for training, and crops for the scores."""
    brick, rng = grey("brick"), np.random.default_rng(0)
    photographs = [grey(name) for name in ("astronaut", "chelsea", "camera", "immunohistochemistry")]
    others = [grey(name) for name in ("coffee", "rocket")]
    return {
        "brick": (True, crops([brick[:, :384]], 256, rng), crops([brick[:, 384:]], 32, rng)),
        "photographs": (False, crops(photographs, 96, rng), crops(others, 16, rng)),
    }


def optimizer_of(cure, rate, steps):
    """Returns Adam with a linear warm-up and half a cosine. Optax's schedules do not take traced lengths."""

    def schedule(count):
        done = count / steps
        after = jnp.clip((done - cure.warm_up) / (1 - cure.warm_up), 0, 1)
        return rate * jnp.minimum(done / cure.warm_up, 1) * (1 + jnp.cos(jnp.pi * after)) / 2

    return optax.chain(optax.clip_by_global_norm(cure.clip), optax.adam(schedule))


def loss_at(structural, cure, step, steps, x, y):
    """Computes the loss of reconstructions at a step under a cure."""
    constants = {
        name: jnp.where(cure.gentle > 0, value, LAST[name]) for name, value in ssim_constants(step, steps).items()
    }
    value = structural(x, y, data_range=1.0, **constants) + cure.l1 * jaxssim.mae(x, y).mean()
    first = cure.mse_first * jaxssim.mse(x, y).mean()
    return jnp.where((step < FIRST_PART * steps) & (cure.mse_first > 0), first, value)


def trainer(dense, structural, training, test, steps):
    """Returns a compiled function of arrays of seeds, rates and cures, which gives the reconstructions of `test`."""
    graph = nnx.graphdef(Autoencoder(dense, nnx.Rngs(0)))

    def train(run):
        seed, rate, cure = run
        optimizer = optimizer_of(cure, rate, steps)
        parameters = nnx.state(Autoencoder(dense, nnx.Rngs(jax.random.key(seed))), nnx.Param)
        batch_key = jax.random.key(seed + 1000)

        def take_step(carry, step):
            parameters, state = carry
            chosen = jax.random.randint(jax.random.fold_in(batch_key, step), (BATCH,), 0, len(training))
            x = training[chosen]
            gradients = jax.grad(
                lambda parameters: loss_at(structural, cure, step, steps, x, nnx.merge(graph, parameters)(x))
            )(parameters)
            updates, state = optimizer.update(gradients, state, parameters)
            return (optax.apply_updates(parameters, updates), state), None

        (parameters, _), _ = jax.lax.scan(take_step, (parameters, optimizer.init(parameters)), jnp.arange(steps))
        return nnx.merge(graph, parameters)(test)

    return jax.jit(partial(jax.lax.map, train))


def measure(names, seeds, steps):
    """Trains all runs; returns a record of each."""
    runs = [(seed, rate) for rate in RATES for seed in range(seeds)]
    for case, (dense, training, test) in cases().items():
        flat = np.broadcast_to(test.mean((1, 2, 3), keepdims=True), test.shape)
        for loss, structural in LOSSES.items():
            score = jax.jit(lambda y, structural=structural, x=test: 1 - structural(x, y, data_range=1.0))
            train = trainer(dense, structural, jnp.asarray(training), jnp.asarray(test), steps)
            for name in names:
                settings = jax.tree.map(lambda value: jnp.full(len(runs), value), CURES[name])
                arguments = (*map(jnp.array, zip(*runs, strict=True)), settings)
                for (seed, rate), y in zip(runs, np.asarray(train(arguments)), strict=True):
                    yield {
                        "pictures": case,
                        "loss": loss,
                        "cure": name,
                        "rate": rate,
                        "seed": seed,
                        "verdict": verdict(test, y),
                        "structure": structure(test, y),
                        "score": float(score(y)),
                        "flat score": float(score(flat)),
                    }


def rows_of(records, names):
    """Returns the rows of a table: each cure, its failed runs, and the scores of the others at each learning rate."""
    for name in names:
        chosen = [record for record in records if record["cure"] == name]
        cells = [range_of(healthy_scores(chosen, rate)) for rate in RATES]
        yield [name, *failures(chosen), *cells]


def failures(records):
    """Returns how many runs are stuck, of how many, and how many have diverged."""
    count = Counter(record["verdict"] for record in records)
    return f"{count['stuck']} of {len(records)}", str(count["diverged"])


def healthy_scores(records, rate):
    """Returns the scores, at a learning rate, of the runs that are neither stuck nor diverged."""
    return [each["score"] for each in records if (each["verdict"], each["rate"]) == ("healthy", rate)]


def range_of(scores):
    """Returns "median (lowest to highest)"."""
    return f"{statistics.median(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})" if scores else "-"


def summary(records, groups, names):
    """Returns for each cure its failed runs, and the range of its gains over all pictures, losses and learning rates.

    A gain is the median score of the runs that did not fail, less that of the runs without a cure that did not fail.
    """
    for name in names:
        gains = []
        for group, rate in itertools.product(groups, RATES):
            pair = [healthy_scores([each for each in group if each["cure"] == cure], rate) for cure in (name, "none")]
            if all(pair):
                gains.append(statistics.median(pair[0]) - statistics.median(pair[1]))
        chosen = [record for record in records if record["cure"] == name]
        yield [name, *failures(chosen), f"{min(gains):+.3f} to {max(gains):+.3f}" if gains else "-"]


def tables_of(records, names):
    """Returns a table of all runs, and one of each kind of pictures and loss."""
    groups = {}
    for record in records:
        groups.setdefault((record["pictures"], record["loss"], record["flat score"]), []).append(record)
    heads = ["cure", "stuck", "diverged"]
    tables = [("All runs", [*heads, "gain of median score"], list(summary(records, groups.values(), names)))]
    for (pictures, loss, flat), group in groups.items():
        title = f"{pictures}, 1 - {loss}: median {loss} of the runs that did not fail; flat pictures have {flat:.3f}"
        tables.append((title, [*heads, *(f"rate {rate:g}" for rate in RATES)], list(rows_of(group, names))))
    return tables


def main():
    """Trains, prints, and writes the results."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="runs at each learning rate")
    parser.add_argument("--steps", type=int, default=300, help="steps of a run")
    parser.add_argument("--cures", nargs="+", choices=CURES, default=list(CURES), metavar="NAME", help="what to try")
    options = parser.parse_args()
    records = []
    for record in measure(options.cures, options.seeds, options.steps):
        records.append(record)
        if (record["seed"], record["rate"]) == (options.seeds - 1, RATES[-1]):
            print(*next(rows_of(records[-options.seeds * len(RATES) :], [record["cure"]])), flush=True)
    about = [
        measuring.header(),
        f"{options.steps} steps of {BATCH} crops, {options.seeds} seeds at each of {len(RATES)} learning rates. A gain "
        "is the median score of the runs that did not fail, less that without a cure, for each of the pictures, losses "
        "and rates.",
    ]
    results = {"header": measuring.header(), "steps": options.steps, "runs": records}
    path = options.output / f"stuck-runs-{measuring.stem()}"
    measuring.write(path, about, tables_of(records, options.cures), results)


if __name__ == "__main__":
    main()
