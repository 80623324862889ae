"""Times a training step of the autoencoder beside the same layers in Keras with TensorFlow's SSIM.

    python benchmarks/train_step.py [--python INTERPRETER ...] [--rounds 15] [--output DIR]

The batch is the example's default, 32 patches of 64x64x3. Each program runs in its own process, and the programs take
turns. The times are medians over rounds. The output also gives the cost of SSIM in place of MSE, and the fraction of
the time that the example waits for data.
"""

import math
import statistics
import sys
import time

import measuring

BURST = 1.0  # seconds of steps per round
WAITING_STEPS = 150  # over which the wait for data is measured
PROGRAMS = {
    "example, SSIM": ("jax", "ssim"),
    "example, MSE": ("jax", "mse"),
    "Keras and tf.image.ssim": ("tensorflow", "ssim"),
    "Keras, compiled by XLA": ("tensorflow, XLA", "ssim"),
    "Keras, MSE": ("tensorflow", "mse"),
}


def example_step(loss):
    """Returns the example's training step, a function of a batch, and its number of parameters."""
    import jax
    import numpy as np
    from flax import nnx

    from examples.autoencoder import parallel, steps
    from examples.autoencoder.config import Config
    from examples.autoencoder.losses import loss_of

    config = Config(loss=loss)
    state = steps.initial_state(config)
    mesh = parallel.device_mesh(config.batch_size)
    parallel.replicate(state, mesh)
    function, no_test_loss = loss_of(config), np.float32(np.nan)

    def step(batch):
        batch = parallel.shard_batch(batch, mesh)
        return steps.train_step(state.model, state.optimizer, batch, function, no_test_loss)

    return step, sum(leaf.size for leaf in jax.tree.leaves(nnx.state(state.model, nnx.Param)))


def keras_step(loss, xla):
    """Returns a training step of the same layers in Keras, compiled as `fit` would, and its number of parameters."""
    import keras
    import tensorflow as tf

    from examples.autoencoder.block_dct import dct_basis
    from examples.autoencoder.config import Config

    config = Config()
    block, coefficients = config.block, 3 * config.block**2
    basis, scale = map(tf.constant, dct_basis(block))

    def conv(x, outputs, **options):
        return keras.layers.Conv2D(outputs, 3, padding="same", **options)(x)

    def coder(x, outputs, blocks):
        hidden = conv(x, config.width, activation=gelu)
        for _ in range(blocks):
            hidden = hidden + conv(conv(hidden, config.width, activation=gelu), config.width)
        return conv(x, outputs) + conv(gelu(hidden), outputs, kernel_initializer="zeros")

    def gelu(x):
        return keras.activations.gelu(x, approximate=True)

    def block_dct(images):
        return tf.matmul(tf.nn.space_to_depth(images - 0.5, block), basis * scale)

    def inverse_block_dct(coefficients):
        return tf.nn.depth_to_space(tf.matmul(coefficients, basis / scale, transpose_b=True), block) + 0.5

    inputs = keras.Input((config.patch, config.patch, 3))
    code = coder(keras.layers.Lambda(block_dct)(inputs), config.bottleneck, 1)
    model = keras.Model(inputs, keras.layers.Lambda(inverse_block_dct)(coder(code, coefficients, config.blocks)))
    optimizer = keras.optimizers.Adam(1e-3, beta_2=0.99, global_clipnorm=config.clip)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=xla)
    def step(batch):
        patches = tf.cast(batch, tf.float32) / 255
        with tf.GradientTape() as tape:
            output = model(patches, training=True)
            value = 1 - tf.image.ssim(patches, output, 1.0) if loss == "ssim" else (patches - output) ** 2
            value = tf.reduce_mean(value)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    return step, sum(math.prod(variable.shape) for variable in model.trainable_variables)


class RequestHandler:
    """The requests that a worker answers, by name."""

    def start(self, program):
        """Builds and compiles a program; returns versions and the number of parameters, equal for all programs."""
        import numpy as np

        library, loss = PROGRAMS[program]
        self.batch = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3), np.uint8)
        if library == "jax":
            import jax

            self.step, parameters = example_step(loss)
            self.wait = jax.block_until_ready
            answer = {"jax": jax.__version__, "parameters": parameters}
            answer |= {"header": measuring.header(), "stem": measuring.stem()}
        else:
            import keras
            import tensorflow as tf

            self.step, parameters = keras_step(loss, "XLA" in library)
            self.wait = lambda value: value.numpy()
            answer = {"tensorflow": tf.__version__, "keras": keras.__version__, "parameters": parameters}
        for _ in range(3):
            self.wait(self.step(self.batch))
        self.calls = max(1, math.ceil(BURST / measuring.seconds(lambda: self.step(self.batch), self.wait, 3, False)))
        return answer

    def measure(self):
        """Returns the seconds per step."""
        return measuring.seconds(lambda: self.step(self.batch), self.wait, self.calls, False)

    def waiting(self):
        """Returns the fraction of the time that the example waits for a batch from Grain."""
        from examples.autoencoder.config import Config
        from examples.autoencoder.images import load_images
        from examples.autoencoder.input_pipeline import training_batches

        config = Config()
        batches = training_batches(load_images(config).training, config)
        waited, begun = 0.0, time.perf_counter()
        for _ in range(WAITING_STEPS):
            start = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - start
            self.wait(self.step(batch))
        return waited / (time.perf_counter() - begun)


def start_worker(program, pythons):
    """Starts a program in the first interpreter that can run it.

    Returns:
      The worker and its answer to `start`, or None and the error.
    """
    for python in pythons:
        worker = measuring.Worker([python, __file__, "--worker"], {"TF_CPP_MIN_LOG_LEVEL": "3"})
        try:
            return worker, worker.ask("start", program)
        except measuring.WorkerError as error:
            worker.close()
            message = str(error)
    return None, message


def measure(options):
    """Measures all programs in turns; returns the contents of the result file."""
    results = {"programs": {}, "missing": {}, "seconds": {}}
    workers = {}
    for program in PROGRAMS:
        worker, answer = start_worker(program, [sys.executable, *options.python])
        if worker is None:
            results["missing"][program] = answer
            continue
        workers[program] = worker
        results |= {key: answer.pop(key) for key in ("header", "stem") if key in answer}
        results["programs"][program] = answer
        results["seconds"][program] = []
    if "example, SSIM" not in workers:
        sys.exit(f"the example does not start: {results['missing']['example, SSIM']}")
    for _ in range(options.rounds):
        for program, worker in workers.items():
            results["seconds"][program].append(worker.ask("measure"))
    results["waiting"] = workers["example, SSIM"].ask("waiting")
    for worker in workers.values():
        worker.close()
    return results


def main():
    """Measures, prints, and writes the results."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--python", nargs="+", default=[], help="more interpreters in which to look for libraries")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    if options.worker is not None:
        measuring.serve(RequestHandler())
        return
    results = measure(options)
    medians = {program: statistics.median(seconds) for program, seconds in results["seconds"].items()}
    example = medians["example, SSIM"]
    rows = [
        [program, f"{1e3 * median:.1f}", measuring.number(32 / median), f"{median / example:.2f}"]
        for program, median in medians.items()
    ]
    about = [
        results["header"],
        *(
            f"{name}: {', '.join(f'{key} {value}' for key, value in answer.items())}"
            for name, answer in results["programs"].items()
        ),
        *(f"{name} is missing: {error}" for name, error in results["missing"].items()),
        f"SSIM in place of MSE takes {example / medians['example, MSE'] - 1:.1%} more time; the example waits for data "
        f"{results['waiting']:.2%} of the time.",
    ]
    heads = ["program", "ms per step", "images per second", "time relative to the first"]
    measuring.write(options.output / f"train-step-{results['stem']}", about, [("Training step", heads, rows)], results)


if __name__ == "__main__":
    main()
