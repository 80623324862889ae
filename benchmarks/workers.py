"""Starts one process for each library, in this environment or in another one that has it."""

import importlib
import importlib.metadata
import platform
import sys
import time

import measuring
from peers import CPU_ONLY, PEERS

ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class RequestHandler:
    """The requests that the worker of any library answers."""

    def __init__(self, peer):
        """Chooses the library."""
        self.function, self.modules = PEERS[peer]

    def machine(self):
        """Returns JAX's description of the machine, and the seconds that `import jaxssim` adds to `import jax`."""
        import jax

        start = time.perf_counter()
        importlib.import_module("jaxssim")
        seconds = time.perf_counter() - start
        about = {"header": measuring.header(), "stem": measuring.stem(), "backend": jax.default_backend()}
        return about | {"import": seconds}

    def start(self, backend):
        """Imports the library, checks that it can use the device, and returns the versions of its modules."""
        self.queued = backend != "cpu"
        modules = {name: importlib.import_module(name) for name in self.modules}
        if self.queued and "torch" in modules:
            modules["torch"].zeros(1, device="cuda")  # raises if PyTorch finds no GPU
        if "jax" in modules and modules["jax"].default_backend() != backend:
            raise RuntimeError(f"JAX finds no {backend} in a second process")
        reported = {name: getattr(module, "__version__", None) for name, module in modules.items() if "." not in name}
        versions = {name: version or importlib.metadata.version(name) for name, version in reported.items()}
        return versions | {"Python": platform.python_version()}


def parser(program):
    """Returns the parser of a program that compares libraries."""
    parser = measuring.parser(program)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="the libraries beside jaxssim")
    parser.add_argument("--python", nargs="+", default=[], help="more interpreters in which to look for libraries")
    return parser


def environment(dtype):
    """Returns the environment of a worker, which enables float64 in JAX for the whole process, or does not."""
    return ENVIRONMENT | {"JAX_ENABLE_X64": str(int(dtype == "float64"))}


def ask_jaxssim(request, dtype, *argument):
    """Starts a worker of jaxssim for one request and returns its answer."""
    worker = measuring.Worker([sys.executable, sys.argv[0], "--worker", "jaxssim"], environment(dtype))
    answer = worker.ask(request, *argument)
    worker.close()
    return answer


def start_workers(wanted, pythons, dtype, results):
    """Starts a worker for each installed library; adds their versions, and why others are missing, to `results`."""
    on_cpu, workers = results["backend"] == "cpu", {}
    variables = environment(dtype) | ({"CUDA_VISIBLE_DEVICES": ""} if on_cpu else {})
    for name in (name for name in PEERS if name in {*wanted, "jaxssim"} and (on_cpu or name not in CPU_ONLY)):
        try:
            started = _start(name, [sys.executable, *pythons], variables, results["backend"])
            workers[name], results["versions"][name] = started
        except measuring.WorkerError as error:
            results["missing"][name] = str(error)
    return workers


def _start(name, interpreters, variables, backend):
    """Returns a worker of the first interpreter that has the library, and its versions; raises the last error."""
    for interpreter in interpreters:
        worker = measuring.Worker([interpreter, sys.argv[0], "--worker", name], variables)
        try:
            return worker, worker.ask("start", backend)
        except measuring.WorkerError as error:
            worker.close()
            last = error
    raise last


def header_lines(results):
    """Yields lines on the libraries compared."""
    for name, versions in results["versions"].items():
        yield f"{name}: {', '.join(f'{module} {version}' for module, version in versions.items())}"
    yield from (f"{name} is missing: {why}" for name, why in results["missing"].items())
    yield from (f"{what} failed: {why}" for what, why in results["failed"].items())
