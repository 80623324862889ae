"""Tests the network of defect segmentation, its residual maps and thresholds, and its training."""

import numpy as np
import pytest

for name in ("flax", "grain", "optax", "rich", "scipy"):
    pytest.importorskip(name)

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from marks import slow_except
from rich.progress import Progress
from textures import untrained_network, wave

import jaxssim
from examples.defect_segmentation import maps, model, residuals, training
from examples.defect_segmentation.config import Config


@pytest.fixture(scope="module")
def network():
    return untrained_network(100)


def output_shapes(layers, x):
    """Returns the shape, without the batch, after each of the layers."""
    shapes = []
    for layer in layers:
        x = jax.eval_shape(layer, x)
        shapes.append(x.shape[1:])
    return shapes


def test_the_layers_have_the_shapes_of_the_papers_table_1(network):
    crops = jnp.zeros((2, 128, 128, 1))
    paper = [(64, 32), (32, 32), (32, 32), (16, 64), (16, 64), (8, 128), (8, 64), (8, 32)]
    assert output_shapes(network.encoder, crops) == [(side, side, channels) for side, channels in paper]
    mirrored = [*paper[6::-1], (128, 1)]
    coarsest = jnp.zeros((2, *model.COARSEST))
    expected = [(side, side, channels) for side, channels in mirrored]
    assert output_shapes([*network.decoder, network.output], coarsest) == expected
    assert output_shapes([network.encode, network.decode], crops) == [(100,), (128, 128, 1)]
    assert jax.eval_shape(lambda: model.Autoencoder(500, nnx.Rngs(0)).encode(crops)).shape == (2, 500)
    np.testing.assert_allclose(model.activate(jnp.asarray([-1.0, 2.0])), [-0.2, 2.0], rtol=1e-6)


def test_the_decoder_sees_the_code_alone(network):
    one, other = np.random.default_rng(0).random((2, 1, 128, 128, 1), np.float32)
    code, other_code = (nnx.jit(model.Autoencoder.encode)(network, crop) for crop in (one, other))
    assert np.abs(code - other_code).max() > 1e-3
    decoded = nnx.jit(model.Autoencoder.decode)(network, code)
    np.testing.assert_allclose(nnx.jit(model.Autoencoder.__call__)(network, one), decoded, atol=1e-5)


def test_strided_layers_are_4x4_convolutions_with_padding_1(network):
    """The layer equals `lax.conv_general_dilated`, and the transposed layer its transpose."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 12, 16, 64)).astype(np.float32)
    y = rng.standard_normal((2, 6, 8, 128)).astype(np.float32)
    down, up = network.encoder[5], network.decoder[2]
    assert down.kernel.shape == (4, 4, 64, 128)
    assert up.kernel.shape == (4, 4, 128, 64)

    def strided(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (2, 2), [(1, 1)] * 2, dimension_numbers=layout)

    np.testing.assert_allclose(down(x), strided(x, down.kernel[...]), atol=1e-4)
    # The transpose exchanges inputs and outputs; Flax's convention also rotates the kernel by 180 degrees.
    turned = up.kernel[::-1, ::-1].swapaxes(2, 3)
    (expected,) = jax.linear_transpose(lambda x: strided(x, turned), x)(y)
    np.testing.assert_allclose(up(y), expected, atol=1e-4)


def test_the_matrix_product_equals_the_transposed_convolution_of_flax():
    """Both have the same outputs and the same gradients."""
    layer = nnx.eval_shape(lambda: nnx.ConvTranspose(5, 3, (4, 4), strides=2, use_bias=False, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(layer)
    rng = np.random.default_rng(0)
    x, kernel, cotangent = (
        rng.standard_normal(shape).astype(np.float32) for shape in [(2, 6, 8, 5), (4, 4, 5, 3), (2, 12, 16, 3)]
    )

    def by_flax(x, kernel):
        return nnx.merge(graph, jax.tree.map(lambda _: kernel, state))(x)

    @jax.jit
    def outputs_and_gradients(x, kernel):
        output, pull_back = jax.vjp(model.transpose_conv_by_blocks, x, kernel)
        output_by_flax, pull_back_by_flax = jax.vjp(by_flax, x, kernel)
        return (output, *pull_back(cotangent)), (output_by_flax, *pull_back_by_flax(cotangent))

    actual, expected = outputs_and_gradients(x, kernel)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_only_cpus_use_the_matrix_product(monkeypatch, network):
    layer, x = network.output, jnp.ones((1, 4, 4, 32))
    monkeypatch.setattr(model, "transpose_conv_by_blocks", lambda x, kernel: jnp.full((1, 8, 8, 1), 7.0))
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    np.testing.assert_array_equal(layer(x), 7)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_array_equal(layer(x), nnx.ConvTranspose.__call__(layer, x))
    assert layer(x).std() > 0


def test_a_transposed_convolution_has_a_bias_for_each_pixel_of_a_block(network):
    layer = nnx.clone(network.output)
    layer.block_bias[...] = jnp.arange(4.0).reshape(2, 2, 1)
    bias = layer(jnp.zeros((1, 3, 2, 32)))[0, ..., 0]
    np.testing.assert_array_equal(bias, np.tile([[0, 1], [2, 3]], (3, 2)))


def test_the_initial_kernel_has_the_variance_of_he():
    """The variance is 2 / (number of inputs that reach an output pixel), which is 4 pixels of 64 channels."""
    layer = model.TransposedConv(64, 32, nnx.Rngs(0))
    np.testing.assert_allclose(layer.kernel[...].var(), 2 / (4 * 64), rtol=0.03)


# Residual maps and thresholds.


class PositionDependent(nnx.Module):
    """Stands for a network whose reconstruction depends on the place of a pixel in the window."""

    def __call__(self, x):
        return 0.5 * x + jnp.linspace(0, 0.5, 128)[:, None, None] * jnp.linspace(0, 1, 128)[:, None]


@pytest.mark.parametrize("loss", ["l2", "ssim"])
def test_each_pixel_gets_the_mean_over_its_windows(loss):
    """The reference loops over windows and pixels."""
    picture, stride, network = wave(170, 143), 16, PositionDependent()
    inspection = maps.inspect(network, picture, [loss], stride)
    values = [[[] for _ in range(143)] for _ in range(170)]
    for top in (0, 16, 32, 42):
        for left in (0, 15):
            window = picture[top : top + 128, left : left + 128, None] / np.float32(255)
            reconstruction = np.asarray(network(window[None]))[0]
            residual = (window - reconstruction) ** 2
            if loss == "ssim":
                mirrored = [np.pad(image, ((5, 5), (5, 5), (0, 0)), "reflect") for image in (window, reconstruction)]
                residual = 1 - np.asarray(jaxssim.ssim_map(*mirrored, data_range=1.0))
            for i in range(128):
                for j in range(128):
                    values[top + i][left + j].append((reconstruction[i, j, 0], residual[i, j, 0]))
    expected = np.asarray([[np.mean(cell, axis=0) for cell in row] for row in values])
    np.testing.assert_allclose(inspection.reconstruction, expected[..., 0], atol=1e-5)
    np.testing.assert_allclose(inspection.residuals[loss], expected[..., 1], atol=1e-5)


def test_windows_cover_every_side():
    assert maps.window_starts(128, 32) == [0]
    assert maps.window_starts(160, 32) == [0, 32]
    assert maps.window_starts(161, 32) == [0, 32, 33]
    for side in (129, 200, 383):
        covered = {i for start in maps.window_starts(side, 30) for i in range(start, start + 128)}
        assert covered == set(range(side))
    with pytest.raises(ValueError, match=r"must be at least as large as the 128x128 window, got \(100, 200\)"):
        maps.inspect(PositionDependent(), wave(100, 200), ["l2"], 32)


@pytest.mark.parametrize("loss", ["l2", "ssim"])
def test_the_training_loss_is_the_mean_of_the_residual_map(loss):
    x, y = np.random.default_rng(0).random((2, 3, 128, 128, 1), np.float32)
    residual = residuals.residual_map(x, y, loss)
    assert residual.shape == x.shape
    mean = np.mean(np.asarray(residual), dtype=np.float64)
    np.testing.assert_allclose(residuals.training_loss(x, y, loss), mean, rtol=1e-5)


@pytest.mark.parametrize("residual", slow_except(["ssim"], list(residuals.MAPS)))
def test_a_residual_map_is_0_where_pictures_are_equal_and_largest_at_a_defect(residual):
    x = np.stack([wave(), wave(seed=1)])[..., None] / np.float32(255)
    y = x.copy()
    np.testing.assert_allclose(residuals.residual_map(x, y, residual), 0, atol=1e-6)
    y[1, 56:72, 56:72] = 1 - y[1, 56:72, 56:72]
    found = np.asarray(residuals.residual_map(x, y, residual))
    assert found.shape == x.shape
    np.testing.assert_allclose(found[0], 0, atol=1e-6)
    row, column, _ = np.unravel_index(found[1].argmax(), found[1].shape)
    assert 52 <= row < 76
    assert 52 <= column < 76


@pytest.mark.slow
def test_the_map_of_ms_ssim_follows_its_definition():
    """Two flat pictures differ in luminance at the coarsest scale alone; noise has half the contrast at all scales."""
    noise = np.random.default_rng(0).random((128, 128, 1), np.float32)
    x = np.stack([np.full_like(noise, 0.4), noise])
    y = np.stack([np.full_like(noise, 0.6), 0.25 + 0.5 * noise])
    weights = np.asarray(jaxssim.MS_SSIM_WEIGHTS[: residuals.SCALES])
    luminance = (2 * 0.4 * 0.6 + 0.01**2) / (0.4**2 + 0.6**2 + 0.01**2)
    variances = 1 / 12 / 4.0 ** np.arange(residuals.SCALES)  # of noise in [0, 1], from scale to scale
    contrasts = (2 * 0.5 * variances + 0.03**2) / ((1 + 0.5**2) * variances + 0.03**2)
    flat, noisy = np.asarray(residuals.residual_map(x, y, "ms-ssim"))
    np.testing.assert_allclose(flat, 1 - luminance ** weights[-1], atol=1e-5)
    np.testing.assert_allclose(noisy.mean(), 1 - np.prod(contrasts**weights), atol=0.01)


def test_the_map_of_cw_ssim_follows_its_definition():
    """Coefficients a and c·a have the similarity 2 |c| / (1 + c²)."""
    x = 100 * np.random.default_rng(0).random((2, 128, 128, 1), np.float32)
    contrast = np.asarray([0.5, -0.25], np.float32).reshape(2, 1, 1, 1)
    expected = np.broadcast_to(1 - 2 * np.abs(contrast) / (1 + contrast**2), x.shape)
    np.testing.assert_allclose(residuals.residual_map(x, contrast * x, "cw-ssim"), expected, atol=1e-3)


@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_the_threshold_marks_the_given_fraction_of_good_pixels(rate):
    rng = np.random.default_rng(0)
    residuals = [rng.exponential(1, (130, 140)), rng.exponential(2, (200, 150))]
    threshold = maps.choose_threshold(residuals, rate)
    marked = np.concatenate([(residual > threshold).ravel() for residual in residuals])
    np.testing.assert_allclose(marked.mean(), rate, atol=1 / marked.size)


# Training.


def losses_of_12_steps(network, config, loss):
    """Returns the loss before each of 12 training steps on one batch of two crops."""
    batch = np.stack([wave(seed=seed)[..., None] for seed in (0, 1)])
    optimizer = nnx.Optimizer(
        network, training.make_optimizer(config.learning_rate, config.steps, config.clip), wrt=nnx.Param
    )
    return [float(training.train_step(network, optimizer, batch, loss)) for _ in range(12)]


@pytest.mark.parametrize("loss", ["l2", "ssim"])
def test_training_steps_lower_the_loss_of_a_single_layer(loss):
    layer = nnx.Conv(1, 1, (3, 3), kernel_init=nnx.initializers.constant(0.05), rngs=nnx.Rngs(0))
    values = losses_of_12_steps(layer, Config(steps=12, learning_rate=1e-2), loss)
    assert values[-1] < 0.97 * values[0]


def test_clipping_bounds_the_gradients_that_adam_sees():
    """Adam's first moment is a tenth of the first gradient."""
    gradients = {"kernel": jnp.asarray([3.0, 4.0])}
    for clip, norm in ((1.0, 1.0), (10.0, 5.0), (None, 5.0)):
        optimizer = training.make_optimizer(1e-3, 12, clip)
        _, state = optimizer.update(gradients, optimizer.init(gradients), gradients)
        np.testing.assert_allclose(10 * jnp.linalg.norm(optax.tree.get(state, "mu")["kernel"]), norm, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["l2", "ssim"])
def test_training_steps_lower_the_loss_of_the_network(loss):
    config = Config(steps=12, batch_size=2, bottleneck=8, learning_rate=1e-3)
    values = losses_of_12_steps(untrained_network(config.bottleneck), config, loss)
    assert values[-1] < 0.97 * values[0]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["l2", "ssim"])
def test_training_twice_with_one_seed_gives_the_same_network(loss):
    config = Config(steps=12, batch_size=2, bottleneck=8, learning_rate=1e-3)
    with Progress(disable=True) as progress:
        twins = [training.train([wave(150, 150)], loss, config, "", progress) for _ in range(2)]
    first, second = (maps.inspect(twin, wave(), [loss], 32).residuals[loss] for twin in twins)
    np.testing.assert_array_equal(first, second)
