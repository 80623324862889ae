"""The program says what to do where a run is stuck, and nothing where it is not."""

import dataclasses
import io
import re

import numpy as np
import pytest

for name in ("flax", "grain", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)

from rich.console import Console
from skimage import data
from training_runs import SMALL

from examples.autoencoder.monitor import Monitor

ADVICE = r"step (\d+): training is stuck, .*Under another --name, try a lower --learning-rate, or --loss .*\."
SCORES = {"loss": 0.5, "test_loss": 0.5, "ssim": 0.5, "psnr": 10.0, "mse": 0.1}


@pytest.mark.parametrize(("contrast", "steps_told"), [(0.0, ["4"]), (0.05, ["4"]), (0.8, [])])
def test_advice_comes_once_at_the_second_evaluation_of_flat_reconstructions(tmp_path, contrast, steps_told):
    config = dataclasses.replace(SMALL, runs=tmp_path)
    config.folder.mkdir()
    patches = data.astronaut()[None, :16, :16].astype(np.float32) / 255
    console = Console(record=True, width=300, file=io.StringIO())
    history = []
    monitor = Monitor(config, console, history, len(patches))
    for step in (1, 2, 4, 6):
        history.append({"step": step, **SCORES})
        monitor.timer.start()
        monitor.step(0.5)
        monitor.evaluation(history, patches, 0.5 + contrast * (patches - 0.5))
    monitor.close()
    text = console.export_text()
    assert re.findall(ADVICE, text) == steps_told
    assert text.count("test loss") == 4
