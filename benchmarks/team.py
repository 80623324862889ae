"""A process for each library that is installed, in this environment or in another."""

import importlib
import importlib.metadata
import platform
import sys
import time

import measuring
from peers import CPU_ONLY, PEERS

ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class Answers:
    """What any library's worker does, by the name of the request."""

    def __init__(self, peer):
        """For one library."""
        self.function, self.modules = PEERS[peer]

    def machine(self):
        """What only JAX knows of the machine, and the seconds that `import jaxssim` adds to `import jax`."""
        import jax

        start = time.perf_counter()
        importlib.import_module("jaxssim")
        seconds = time.perf_counter() - start
        about = {"header": measuring.header(), "stem": measuring.stem(), "backend": jax.default_backend()}
        return about | {"import": seconds}

    def start(self, backend):
        """Import the library, which the device must suit; its versions."""
        self.queued = backend != "cpu"
        modules = {name: importlib.import_module(name) for name in self.modules}
        if self.queued and "torch" in modules:
            modules["torch"].zeros(1, device="cuda")  # raises where there is none
        if "jax" in modules and modules["jax"].default_backend() != backend:
            raise RuntimeError(f"JAX has no {backend} in a second process")
        said = {name: getattr(module, "__version__", None) for name, module in modules.items() if "." not in name}
        versions = {name: version or importlib.metadata.version(name) for name, version in said.items()}
        return versions | {"Python": platform.python_version()}


def parser(program):
    """The command line of a program that compares libraries."""
    made = measuring.parser(program)
    made.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="the libraries beside jaxssim")
    made.add_argument("--python", nargs="+", default=[], help="more interpreters in which to look for libraries")
    return made


def environment(dtype):
    """The variables of workers: JAX is set to float64, or is not, once for a process."""
    return ENVIRONMENT | {"JAX_ENABLE_X64": str(int(dtype == "float64"))}


def ask_jaxssim(request, dtype, *argument):
    """What a worker of jaxssim answers, which then ends."""
    worker = measuring.Worker([sys.executable, sys.argv[0], "--worker", "jaxssim"], environment(dtype))
    answer = worker.ask(request, *argument)
    worker.close()
    return answer


def gathered(wanted, pythons, dtype, results):
    """A worker for each library that is there; notes the versions of these, and why the others are missing."""
    on_cpu, workers = results["backend"] == "cpu", {}
    variables = environment(dtype) | ({"CUDA_VISIBLE_DEVICES": ""} if on_cpu else {})
    for name in (name for name in PEERS if name in {*wanted, "jaxssim"} and (on_cpu or name not in CPU_ONLY)):
        try:
            found = _started(name, [sys.executable, *pythons], variables, results["backend"])
            workers[name], results["versions"][name] = found
        except measuring.WorkerError as error:
            results["missing"][name] = str(error)
    return workers


def _started(name, interpreters, variables, backend):
    """A worker of the first interpreter that has the library, with its versions; raises what the last one said."""
    for interpreter in interpreters:
        worker = measuring.Worker([interpreter, sys.argv[0], "--worker", name], variables)
        try:
            return worker, worker.ask("start", backend)
        except measuring.WorkerError as error:
            worker.close()
            said = error
    raise said


def about(results):
    """Lines on what was compared."""
    for name, versions in results["versions"].items():
        yield f"{name}: {', '.join(f'{module} {version}' for module, version in versions.items())}"
    yield from (f"{name} is missing: {why}" for name, why in results["missing"].items())
    yield from (f"{what} failed: {why}" for what, why in results["failed"].items())
