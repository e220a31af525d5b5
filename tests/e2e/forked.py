"""Real processes, to be killed and to be starved, that need not import everything anew: a server forks each of them.

Importing what an export needs takes a Python that starts several seconds of processor time; the server does it once.
"""

import multiprocessing
import os
import tempfile
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "click.testing",
        "pytest",
        "torch.onnx",
        "torch._dynamo",
        "onnxscript",
        "onnxruntime.quantization",
        "onnxruntime.tools.symbolic_shape_infer",
        "scipy.stats",
        "edgefair.cli",
        "edgefair.exporters.torch_module",
        "edgefair.training.loop",
        "edgefair.workflow.export",
    ]
)


def exit_code(function, *arguments):
    """How a process ended that has called the function: minus the signal's number where one has killed it."""
    return _ended(function, arguments)


def answer(function, *arguments):
    """What the function returned in a process of its own."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    with ours, theirs:
        assert _ended(_send, (theirs, function, arguments)) == 0
        return ours.recv()


def _ended(function, arguments):
    process = _CONTEXT.Process(target=_call, args=(dict(os.environ), Path.cwd(), function, arguments))
    process.start()
    process.join()
    return process.exitcode


def _call(environment, folder, function, arguments):
    """Call it in the surroundings of the process that asks, which may not be those in which the server began."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None
    function(*arguments)


def _send(pipe, function, arguments):
    pipe.send(function(*arguments))
