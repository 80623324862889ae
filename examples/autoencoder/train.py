"""The training loop: Adam on a schedule, a look at the test photographs now and then."""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from config import Config
from flax import nnx
from input_pipeline import photographs, test_patches, training_batches
from model import Autoencoder
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import jaxssim

LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "ssim": partial(jaxssim.ssim_loss, data_range=1.0),
    "dssim-l1": lambda x, y: (jaxssim.dssim(x, y, data_range=1.0) + jaxssim.mae(x, y)).mean(),
    "l1": lambda x, y: jaxssim.mae(x, y).mean(),
    "mse": lambda x, y: jaxssim.mse(x, y).mean(),
}


class Run(NamedTuple):
    """What a run leaves in memory."""

    model: Autoencoder
    patches: np.ndarray  # of the test photographs, uint8
    history: list[dict[str, float]]  # a record an evaluation
    metrics: dict[str, float]  # the last test scores and the speed


def train(config: Config, console: Console) -> Run:
    """Train as `config` says; config.json, metrics.jsonl, metrics.json and the parameters go into its folder."""
    images = photographs(config)
    config.folder.mkdir(parents=True, exist_ok=True)
    (config.folder / "config.json").write_text(config.to_json())
    if images.unreadable:
        console.print(f"{len(images.unreadable)} unreadable: {', '.join(map(str, images.unreadable))}", style="yellow")
    patches = test_patches(images.testing, config.patch)
    model = Autoencoder(config, nnx.Rngs(config.seed))
    optimizer = nnx.Optimizer(model, optax.adam(learning_rate(config), b2=0.99), wrt=nnx.Param)
    batches = training_batches(images.training, config)
    with (config.folder / "metrics.jsonl").open("w") as log, progress_bar(console) as bar:
        history, seconds = loop(config, model, optimizer, batches, patches, log, bar)
    scores = {name: history[-1][name] for name in ("ssim", "psnr", "mse")}
    metrics = {f"test_{name}": value for name, value in scores.items()}
    timed = seconds[2:] or seconds  # the first steps compile
    metrics["images_per_second"] = config.batch_size * len(timed) / sum(timed)
    (config.folder / "metrics.json").write_text(json.dumps(metrics, indent=2))
    save_parameters(model, config.folder / "parameters")
    return Run(model, patches, history, metrics)


def loop(
    config: Config,
    model: Autoencoder,
    optimizer: nnx.Optimizer,
    batches: Iterator[np.ndarray],
    patches: np.ndarray,
    log: TextIO,
    bar: Progress,
) -> tuple[list[dict[str, float]], list[float]]:
    """Every step and evaluation: the records of the evaluations, and the seconds of each step."""
    history: list[dict[str, float]] = []
    losses: list[float] = []
    seconds: list[float] = []
    task = bar.add_task("training", total=config.steps, loss=np.nan, ssim=np.nan, speed=np.nan)
    for step in range(1, config.steps + 1):
        start = time.perf_counter()
        losses.append(float(train_step(model, optimizer, next(batches), config.loss)))
        seconds.append(time.perf_counter() - start)
        if step % config.evaluate_every == 0 or step in (1, config.steps):
            scores = evaluate(model, patches, config.batch_size)
            history.append({"step": step, "loss": float(np.mean(losses)), **scores})
            losses = []
            log.write(json.dumps(history[-1]) + "\n")
            log.flush()
        recent = seconds[-50:]
        speed = config.batch_size * len(recent) / sum(recent)
        bar.update(task, advance=1, loss=(losses or [history[-1]["loss"]])[-1], ssim=history[-1]["ssim"], speed=speed)
    return history, seconds


@partial(nnx.jit, static_argnames="loss")
def train_step(model: Autoencoder, optimizer: nnx.Optimizer, batch: jax.Array, loss: str) -> jax.Array:
    """One step of the optimiser on a batch of uint8; the loss before it."""
    patches = batch.astype(jnp.float32) / 255
    value, gradients = nnx.value_and_grad(lambda model: LOSSES[loss](patches, model(patches)))(model)
    optimizer.update(model, gradients)
    return value


@nnx.jit
def reconstruct(model: Autoencoder, batch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A batch of uint8 in [0, 1], and its reconstruction, clipped as a picture is."""
    patches = batch.astype(jnp.float32) / 255
    return patches, jnp.clip(model(patches), 0, 1)


def evaluate(model: Autoencoder, patches: np.ndarray, batch_size: int) -> dict[str, float]:
    """Mean SSIM, PSNR (at most 100 dB: a perfect patch has no finite one) and MSE of the reconstructions, in [0, 1]."""
    scores: dict[str, list[np.ndarray]] = {"ssim": [], "psnr": [], "mse": []}
    for start in range(0, len(patches), batch_size):
        x, y = reconstruct(model, patches[start : start + batch_size])
        scores["ssim"].append(np.asarray(jaxssim.ssim(x, y, data_range=1.0)))
        scores["psnr"].append(np.minimum(jaxssim.psnr(x, y, data_range=1.0), 100))
        scores["mse"].append(np.asarray(jaxssim.mse(x, y)))
    return {name: float(np.concatenate(values).mean(dtype=np.float64)) for name, values in scores.items()}


def learning_rate(config: Config) -> optax.Schedule:
    """Adam's learning rate at each step."""
    peak, steps = config.learning_rate, config.steps
    match config.schedule:
        case "cosine":
            return optax.warmup_cosine_decay_schedule(
                0.0, peak, min(100, max(1, steps // 10)), max(2, steps), peak / 100
            )
        case "step":
            return optax.piecewise_constant_schedule(peak, {int(0.6 * steps): 1 / 3, int(0.85 * steps): 1 / 3})
        case "constant":
            return optax.constant_schedule(peak)


def save_parameters(model: Autoencoder, path: Path) -> None:
    """The parameters alone, by Orbax, in place of any that an earlier run left."""
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path.absolute(), nnx.to_pure_dict(nnx.state(model, nnx.Param)), force=True)


def progress_bar(console: Console) -> Progress:
    """Loss, test SSIM, images per second and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(
            "loss {task.fields[loss]:.4f}  test SSIM {task.fields[ssim]:.4f}  {task.fields[speed]:.0f} images/s"
        ),
        TimeRemainingColumn(),
        console=console,
    )
