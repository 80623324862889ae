"""A training step of the autoencoder beside the same layers in Keras with TensorFlow's SSIM, and what SSIM adds to MSE.

    python benchmarks/train_step.py [--python INTERPRETER ...] [--rounds 15] [--output DIR]

The batch is the default one, 32 patches of 64x64x3. Each program has a process of its own; all take turns. Times are
medians over rounds. Beside them stands the share of its time for which a step of the example waits for Grain.
"""

import math
import statistics
import sys
import time

import measuring

BURST = 1.0  # seconds
STEPS = 150  # over which waiting is measured
PROGRAMS = {
    "example, SSIM": ("jax", "ssim"),
    "example, MSE": ("jax", "mse"),
    "Keras and tf.image.ssim": ("tensorflow", "ssim"),
    "Keras, compiled by XLA": ("tensorflow, XLA", "ssim"),
    "Keras, MSE": ("tensorflow", "mse"),
}


def example(loss):
    """The example's state, its batches from Grain, and its step."""
    import numpy as np

    from examples.autoencoder import input_pipeline, losses, parallel, pictures, train
    from examples.autoencoder.config import Config

    config = Config(loss=loss)
    state = train.initial(config)
    batches = input_pipeline.training_batches(pictures.photographs(config).training, config)
    mesh = parallel.mesh_of(config.batch_size)
    parallel.replicate(state, mesh)
    function, no_news = losses.loss_of(config), np.float32(np.nan)

    def step(batch):
        return train.train_step(state.model, state.optimizer, parallel.spread(batch, mesh), function, no_news)

    return batches, step


def keras_step(loss, xla):
    """The same layers in Keras, Adam, and a step as `fit` would compile it."""
    import keras
    import tensorflow as tf

    from examples.autoencoder import model as ours
    from examples.autoencoder.config import Config

    config = Config()
    block, channels = config.block, 3 * config.block**2
    basis, scale = map(tf.constant, ours.cosines(block))

    def stage(x, outputs):
        conv = keras.layers.Conv2D
        hidden = conv(config.width, 1, activation=gelu)(x)
        hidden = conv(config.width, 3, padding="same", activation=gelu)(hidden)
        return conv(outputs, 3, padding="same")(x) + conv(outputs, 1, kernel_initializer="zeros")(hidden)

    def gelu(x):
        return keras.activations.gelu(x, approximate=True)

    def to_frequencies(images):
        return tf.matmul(tf.nn.space_to_depth(images - 0.5, block), basis * scale)

    def from_frequencies(frequencies):
        return tf.nn.depth_to_space(tf.matmul(frequencies, basis / scale, transpose_b=True), block) + 0.5

    inputs = keras.Input((config.patch, config.patch, 3))
    code = stage(keras.layers.Lambda(to_frequencies)(inputs), config.bottleneck)
    model = keras.Model(inputs, keras.layers.Lambda(from_frequencies)(stage(code, channels)))
    optimizer = keras.optimizers.Adam(1e-3, beta_2=0.99)
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

    parameters = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    return step, parameters


class Answers:
    """What a worker does, by the name of the request."""

    def start(self, program):
        """Build and compile; versions and the number of parameters, which must be equal."""
        import numpy as np

        library, loss = PROGRAMS[program]
        self.batch = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3), np.uint8)
        if library == "jax":
            import jax

            from examples.autoencoder import train
            from examples.autoencoder.config import Config

            self.batches, self.step = example(loss)
            self.wait = jax.block_until_ready
            leaves = jax.tree.leaves(train.nnx.state(train.initial(Config()).model, train.nnx.Param))
            answer = {"jax": jax.__version__, "parameters": sum(leaf.size for leaf in leaves)}
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
        """Seconds a step."""
        return measuring.seconds(lambda: self.step(self.batch), self.wait, self.calls, False)

    def waiting(self):
        """The share of the time of steps in which there is no batch yet."""
        waited, begun = 0.0, time.perf_counter()
        for _ in range(STEPS):
            start = time.perf_counter()
            batch = next(self.batches)
            waited += time.perf_counter() - start
            self.wait(self.step(batch))
        return waited / (time.perf_counter() - begun)


def started(program, pythons):
    """A worker of the first interpreter that has what the program needs, and what it answered; or None, and why."""
    for python in pythons:
        worker = measuring.Worker([python, __file__, "--worker"], {"TF_CPP_MIN_LOG_LEVEL": "3"})
        try:
            return worker, worker.ask("start", program)
        except measuring.WorkerError as error:
            worker.close()
            said = str(error)
    return None, said


def measure(options):
    """All that the results hold."""
    results = {"programs": {}, "missing": {}, "seconds": {}}
    workers = {}
    for program in PROGRAMS:
        worker, answer = started(program, [sys.executable, *options.python])
        if worker is None:
            results["missing"][program] = answer
            continue
        workers[program] = worker
        results |= {key: answer.pop(key) for key in ("header", "stem") if key in answer}
        results["programs"][program] = answer
        results["seconds"][program] = []
    if "example, SSIM" not in workers:
        sys.exit(f"the example does not start, and there is nothing to compare: {results['missing']['example, SSIM']}")
    for _ in range(options.rounds):
        for program, worker in workers.items():
            results["seconds"][program].append(worker.ask("measure"))
    results["waiting"] = workers["example, SSIM"].ask("waiting")
    for worker in workers.values():
        worker.close()
    return results


def main():
    """Measure, print, keep."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--python", nargs="+", default=[], help="more interpreters in which to look for libraries")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    if options.worker is not None:
        measuring.serve(Answers())
        return
    results = measure(options)
    medians = {program: statistics.median(seconds) for program, seconds in results["seconds"].items()}
    ours = medians["example, SSIM"]
    rows = [
        [program, f"{1e3 * median:.1f}", measuring.number(32 / median), f"{median / ours:.2f}"]
        for program, median in medians.items()
    ]
    about = [
        results["header"],
        *(
            f"{name}: {', '.join(f'{key} {value}' for key, value in said.items())}"
            for name, said in results["programs"].items()
        ),
        *(f"{name} is missing: {why}" for name, why in results["missing"].items()),
        f"SSIM in place of MSE takes {ours / medians['example, MSE'] - 1:.1%} more time; a step waits for its batch "
        f"{results['waiting']:.2%} of the time.",
    ]
    heads = ["program", "ms a step", "images a second", "time, of the first"]
    measuring.write(
        options.output / f"train-step-{results['stem']}", about, [("A step of training", heads, rows)], results
    )


if __name__ == "__main__":
    main()
