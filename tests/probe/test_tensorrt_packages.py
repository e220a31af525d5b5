"""What NVIDIA's own packages say without a GPU: do the calls exist, and can the files be read?

TensorRT for RTX has the same Python API and the same ONNX parser, and unlike TensorRT it builds without a GPU. Tests of
packages that are not installed skip with the reason:

    pip install tensorrt-rtx-cu13
"""

import importlib
import inspect
import re

import onnx
import pytest

from edgefair.graphs.unsupported import unsupported
from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.engine import TYPES
from edgefair.probe.runtimes.engine_build import Build, open_log
from edgefair.targets.support import TENSORRT
from tests.probe import tensorrt_double
from tests.probe.small_networks import PRECISIONS, compressed, exported

DOUBLES = {
    name: item
    for name, item in inspect.getmembers(tensorrt_double, inspect.isclass)
    if item.__module__ == tensorrt_double.__name__ and name != "Driver" and not name.startswith("_")
}


@pytest.fixture(params=["tensorrt", "tensorrt_rtx"])
def package(request):
    return installed(request.param)


def installed(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} cannot be imported: {error}")


def signatures(function):
    """The parameters' names of every overload, with whether each may be left out, as pybind11 documents them."""
    for line in (function.__doc__ or "").splitlines():
        found = re.fullmatch(rf"\s*(?:\d+\. )?{function.__name__}\(self: [\w.]+(?:, )?(.*)\) -> .*", line)
        if found:
            yield [(name, default is not None) for name, default in re.findall(r"(\w+): [^=,]+(=)?", found[1])]


def test_what_the_doubles_offer_the_package_offers_with_the_same_arguments(package):
    checked = 0
    for kind, double in DOUBLES.items():
        for name, member in inspect.getmembers(double):
            if name.startswith("_") and not (name == "__init__" and "logger" in inspect.signature(member).parameters):
                continue
            real = getattr(getattr(package, kind), name)
            if inspect.isfunction(member):
                given = list(inspect.signature(member).parameters)[1:]
                assert any(takes(known, given) for known in signatures(real)), f"{kind}.{name}{given}: {real.__doc__}"
            checked += 1
    assert checked > 40


def takes(known, given):
    """Whether a call with these arguments, by position or by name, leaves out nothing that the package needs."""
    names = [name for name, _ in known]
    return names[: len(given)] == given and all(optional for _, optional in known[len(given) :])


def test_every_type_that_is_sent_has_the_packages_name(package):
    assert set(TYPES) | set(tensorrt_double.KINDS.values()) <= set(package.DataType.__members__)
    assert package.ILogger.Severity.ERROR != package.ILogger.Severity.INTERNAL_ERROR


@pytest.mark.filterwarnings("ignore:.*Timing cache:DeprecationWarning")
@pytest.mark.parametrize("network", ["mlp", "resnet-18", "vit-small", "text-transformer"])
def test_the_files_that_are_made_for_tensorrt_can_be_read_and_built(tmp_path, network):
    rtx = installed("tensorrt_rtx")
    model, inputs = exported(tmp_path, network)
    for precision in PRECISIONS:
        made = compressed(model, inputs, precision)
        assert unsupported(made, TENSORRT) == ()
        build = builder(rtx, made)
        assert build.plan()
        read = [build._network.get_input(index) for index in range(build._network.num_inputs)]
        given = [build._network.get_output(index) for index in range(build._network.num_outputs)]
        assert {item.name: TYPES[item.dtype.name][1] for item in read} == {x: inputs[x].dtype for x in inputs}
        assert {item.name: item.dtype.name for item in given} == {"decision": "INT64", "score": "FLOAT"}


def test_a_file_for_the_cpu_is_refused_with_the_node_and_the_reason(tmp_path):
    rtx = installed("tensorrt_rtx")
    model = compressed(*exported(tmp_path, "mlp"), "int8", "int8-balanced")
    with pytest.raises(ProbeError, match=r"QuantizeLinear 'cat/quantize': .*[Zz]ero point is not supported") as caught:
        builder(rtx, model).plan()
    assert caught.value.kind == "invalid_graph"


def test_the_operators_that_are_said_to_be_lacking_are_those_that_the_parser_lacks():
    rtx = installed("tensorrt_rtx")
    build = builder(rtx, onnx.ModelProto())
    parser = rtx.OnnxParser(build._network, build._log)
    known = {item.name for item in onnx.defs.get_all_schemas() if item.domain == ""}
    assert TENSORRT.lacks <= known
    assert {name for name in known if not parser.supports_operator(name)} == TENSORRT.lacks
    assert not parser.supports_operator("TreeEnsembleClassifier")


def builder(package, model):
    return Build(package, open_log(package), model.SerializeToString(), 64, None)
