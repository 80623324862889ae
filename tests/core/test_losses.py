"""What the losses take beside the metrics' arguments: a reduction and a border to crop; and thin volumes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import slow, slow_except

import jaxssim

X, Y = jax.random.uniform(jax.random.key(0), (2, 3, 48, 52, 3))

LOSSES = {
    "ssim": (jaxssim.ssim_loss, jaxssim.ssim, {"data_range": 1.0}),
    "ms_ssim": (jaxssim.ms_ssim_loss, jaxssim.ms_ssim, {"data_range": 1.0, "weights": (0.4, 0.6)}),
    "cw_ssim": (jaxssim.cw_ssim_loss, jaxssim.cw_ssim, {"levels": 2}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_one_minus_the_metric_of_each_image_or_the_mean_of_these(name):
    loss, metric, options = LOSSES[name]
    each = loss(X, Y, reduction="none", **options)
    np.testing.assert_allclose(each, 1 - metric(X, Y, **options), rtol=1e-5)
    np.testing.assert_allclose(loss(X, Y, **options), each.mean(), rtol=1e-6)
    assert loss(X[0], Y[0], reduction="none", **options).shape == ()


@slow
def test_the_mixed_loss_of_each_image_is_that_of_the_image_alone():
    options = {"data_range": 1.0, "sigmas": (0.5, 1.0)}
    each = jaxssim.ms_ssim_l1_loss(X, Y, reduction="none", **options)
    alone = [jaxssim.ms_ssim_l1_loss(x, y, **options) for x, y in zip(X, Y, strict=True)]
    np.testing.assert_allclose(each, alone, rtol=1e-6)


@pytest.mark.parametrize(
    "loss", slow_except([jaxssim.ssim_loss], [jaxssim.ssim_loss, jaxssim.ms_ssim_loss, jaxssim.ms_ssim_l1_loss])
)
def test_a_cropped_border_is_left_out_of_value_and_gradient(loss):
    options = {"data_range": 1.0} | ({"weights": (0.5, 0.5)} if loss is jaxssim.ms_ssim_loss else {})
    options |= {"sigmas": (0.5, 1.0)} if loss is jaxssim.ms_ssim_l1_loss else {}
    cropped = loss(X[:, 4:-4, 4:-4], Y[:, 4:-4, 4:-4], **options)
    np.testing.assert_allclose(loss(X, Y, crop_border=4, **options), cropped, rtol=1e-6)
    gradient = jax.grad(lambda y: loss(X, y, crop_border=4, **options))(Y)
    assert not gradient.at[:, 4:-4, 4:-4].set(0).any()
    assert gradient[:, 4:-4, 4:-4].any()


@pytest.mark.parametrize("loss", [*(loss for loss, _, _ in LOSSES.values()), jaxssim.ms_ssim_l1_loss])
def test_another_reduction_is_an_error(loss):
    options = {} if loss is jaxssim.cw_ssim_loss else {"data_range": 1.0}
    options |= {"levels": 2} if loss is jaxssim.cw_ssim_loss else {}
    options |= {"weights": (0.5, 0.5)} if loss is jaxssim.ms_ssim_loss else {}
    options |= {"sigmas": (0.5, 1.0)} if loss is jaxssim.ms_ssim_l1_loss else {}
    with pytest.raises(ValueError, match=r'reduction must be "mean" or "none", got .sum.'):
        loss(X, Y, reduction="sum", **options)


@slow
def test_ms_ssim_of_a_thin_volume_halves_only_the_axes_that_the_window_spans():
    thin = jaxssim.Convention(window=jaxssim.Gaussian((1, 11, 11)))
    x, y = jax.random.uniform(jax.random.key(1), (2, 180, 184))
    # Slices that are all alike have the value of one slice.
    flat = jaxssim.ms_ssim(x, y, data_range=1.0, channel_axis=None)
    volume = jaxssim.ms_ssim(
        *(jnp.stack([image] * 5) for image in (x, y)),
        data_range=1.0,
        convention=thin,
        spatial_ndim=3,
        channel_axis=None,
    )
    np.testing.assert_allclose(volume, flat, atol=2e-7)
    # Slices that differ are not mixed: the first slice alone differs, so four fifths of each mean are 1.
    x5 = jnp.stack([x] * 5)
    y5 = x5.at[0].set(y)
    two = {"data_range": 1.0, "channel_axis": None, "weights": (1.0, 1.0)}
    fine = (
        1
        - (
            1
            - jaxssim.ssim_components(x, y, data_range=1.0, channel_axis=None).contrast
            * jaxssim.ssim_components(x, y, data_range=1.0, channel_axis=None).structure
        ).mean()
        / 5
    )
    coarse_x, coarse_y = (image.reshape(90, 2, 92, 2).mean((1, 3)) for image in (x, y))
    coarse = 1 - (1 - jaxssim.ssim(coarse_x, coarse_y, data_range=1.0, channel_axis=None)) / 5
    mixed = jaxssim.ms_ssim(x5, y5, convention=thin, spatial_ndim=3, **two)
    np.testing.assert_allclose(mixed, fine * coarse, atol=1e-6)


def test_the_weights_that_the_error_advises_for_small_images_sum_to_those_given():
    x, y = X[0], 0.8 * X[0] + 0.2 * Y[0]
    with pytest.raises(ValueError, match=r"at most 3 weights, for instance \(([\d., ]+)\), whose sum") as error:
        jaxssim.ms_ssim(x, y, data_range=1.0)
    advised = tuple(map(float, str(error.value).split("instance (")[1].split(")")[0].split(",")))
    np.testing.assert_allclose(sum(advised), sum(jaxssim.MS_SSIM_WEIGHTS), atol=2e-4)
    np.testing.assert_allclose(
        np.divide(advised, jaxssim.MS_SSIM_WEIGHTS[:3]), sum(jaxssim.MS_SSIM_WEIGHTS) / 0.6305, rtol=1e-3
    )
    assert 0 < jaxssim.ms_ssim(x, y, data_range=1.0, weights=advised) < 1


def test_weights_may_be_an_array_of_jax_or_numpy():
    expected = jaxssim.ms_ssim(X, Y, data_range=1.0, weights=(0.25, 0.75))
    for weights in (jnp.array([0.25, 0.75]), np.array([0.25, 0.75])):
        np.testing.assert_array_equal(jaxssim.ms_ssim(X, Y, data_range=1.0, weights=weights), expected)


def test_a_cropped_border_is_left_out_of_cw_ssim():
    inside = (slice(None), slice(4, -4), slice(4, -4))
    for function in (jaxssim.cw_ssim, jaxssim.cw_ssim_loss):
        np.testing.assert_array_equal(function(X, Y, levels=2, crop_border=4), function(X[inside], Y[inside], levels=2))
    first = (np.moveaxis(image, -1, 1) for image in (X, Y))
    cropped = jaxssim.cw_ssim(*first, levels=2, crop_border=4, channel_axis=-3)
    np.testing.assert_allclose(cropped, jaxssim.cw_ssim(X[inside], Y[inside], levels=2), rtol=1e-6)
