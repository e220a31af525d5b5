import io
import json
import os
import pickle

import numpy as np
import onnxruntime
import pytest
import torch
from packaging.version import Version
from torch.export.pt2_archive import PT2ArchiveReader, PT2ArchiveWriter

from edgefair.errors import ModelError
from edgefair.exporters.pt2 import from_pt2

OWN_RECORDS = (".data/", "byteorder", "archive_format", "archive_version", ".format_version", ".storage_alignment")
ROWS = torch.export.Dim("rows", min=1)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.dropout = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(4 * 16 + 2, 3)
        self.register_buffer("scale", torch.rand(2))

    def forward(self, picture, extra):
        features = torch.relu(self.norm(self.convolution(picture))).flatten(1)
        return self.dropout(self.head(torch.cat([features, self.scale * extra], 1)))


def example(rows):
    generator = torch.Generator().manual_seed(rows)
    return torch.rand(rows, 3, 8, 8, generator=generator), torch.rand(rows, 2, generator=generator)


def program(net, dynamic=({0: ROWS}, {0: ROWS})):
    return torch.export.export(net, example(2), dynamic_shapes=dynamic)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture(scope="module")
def saved(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("pt2") / "model.pt2"
    torch.export.save(program(net), path)
    return path


def rewritten(source, target, change):
    """Copy an archive after `change(records)`; records map names to bytes."""
    reader = PT2ArchiveReader(str(source))
    records = {name: reader.read_bytes(name) for name in reader.get_file_names() if not name.startswith(OWN_RECORDS)}
    change(records)
    buffer = io.BytesIO()
    with PT2ArchiveWriter(buffer) as writer:
        for name, content in records.items():
            writer.write_bytes(name, content)
    target.write_bytes(buffer.getvalue())
    return target


def edit(records, name, change):
    content = json.loads(records[name])
    change(content)
    records[name] = json.dumps(content).encode()


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def command(path):
    return f"__import__('os').mkdir({str(path)!r})"


def torch_pickle(path):
    buffer = io.BytesIO()
    torch.save((Payload(path),), buffer)
    return buffer.getvalue()


def in_sample_inputs(records, path):
    records["data/sample_inputs/model.pt"] = torch_pickle(path)


def in_a_weight(records, path):
    def change(content):
        payload = next(iter(content["config"].values()))
        payload["use_pickle"] = True
        records["data/weights/" + payload["path_name"]] = torch_pickle(path)

    edit(records, "data/weights/model_weights_config.json", change)


def in_a_constant(records, path):
    constant = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    records["data/constants/opaque_obj_0"] = pickle.dumps(Payload(path))
    edit(records, "data/constants/model_constants_config.json", lambda content: content["config"].update(x=constant))


def in_legacy_weights(records, path):
    records["data/weights/model.pt"] = torch_pickle(path)


def in_a_shape(records, path):
    def change(content):
        sizes = content["graph_module"]["graph"]["tensor_values"]["picture"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = command(path)

    edit(records, "models/model.json", change)


def in_a_function_of_a_shape(records, path):
    def change(content):
        sizes = content["graph_module"]["graph"]["tensor_values"]["picture"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = f"sympify({command(path)!r})"

    edit(records, "models/model.json", change)


def in_a_name(records, path):
    # torch.fx writes the names of arguments into Python code: this one becomes a default, evaluated at once.
    name = f"extra={command(path)}.x"
    records["models/model.json"] = records["models/model.json"].replace(b'"extra"', json.dumps(name).encode())


def in_the_results(records, path):
    path.with_name("payload_module.py").write_text(f"{command(path)}\nclass made(dict): pass\n")
    context = {"default_factory_module": "payload_module", "default_factory_name": "made", "dict_context": ["a"]}
    leaf = {"type": None, "context": None, "children_spec": []}
    tree = {"type": "collections.defaultdict", "context": context, "children_spec": [leaf]}

    def change(content):
        content["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps([1, tree])

    edit(records, "models/model.json", change)


ATTACKS = [
    in_sample_inputs,
    in_a_weight,
    in_a_constant,
    in_legacy_weights,
    in_a_shape,
    in_a_function_of_a_shape,
    in_a_name,
    in_the_results,
]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_the_graph_gives_the_programs_results_for_any_number_of_rows(net, saved, rows):
    model = from_pt2(saved)
    assert [item.name for item in model.graph.input] == ["picture", "extra"]
    assert all(item.type.tensor_type.shape.dim[0].dim_param for item in [*model.graph.input, *model.graph.output])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = example(rows)
    (found,) = session.run(None, {"picture": inputs[0].numpy(), "extra": inputs[1].numpy()})
    assert np.abs(found - net(*inputs).detach().numpy()).max() < 1e-4


def test_nothing_is_printed_and_no_trace_of_the_machine_is_left(saved, capfd):
    model = from_pt2(saved)
    assert capfd.readouterr() == ("", "")
    assert b"site-packages" not in model.SerializeToString()
    assert __file__.encode() not in model.SerializeToString()


def test_the_environment_is_restored(saved, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    from_pt2(saved)
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_file_that_would_run_code_is_refused_before_it_does(saved, tmp_path, monkeypatch, attack):
    monkeypatch.syspath_prepend(tmp_path)
    trap = tmp_path / "ran"
    path = rewritten(saved, tmp_path / "model.pt2", lambda records: attack(records, trap))
    with pytest.raises(ModelError):
        from_pt2(path)
    assert not trap.exists()


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_attacks_are_real_torchs_own_loader_runs_them(saved, tmp_path, monkeypatch, attack):
    if attack is in_a_constant and Version(torch.__version__) < Version("2.13"):
        pytest.skip("the loader of a PyTorch before 2.13 knows no constants that are pickled")
    monkeypatch.syspath_prepend(tmp_path)
    trap = tmp_path / "ran"
    path = rewritten(saved, tmp_path / "model.pt2", lambda records: attack(records, trap))
    try:
        torch.export.load(path)
    except Exception as error:
        print(error)
    assert trap.exists()


def test_conditions_in_the_file_are_never_evaluated(saved, tmp_path):
    trap = tmp_path / "ran"

    def change(records):
        edit(records, "models/model.json", lambda content: content.update(guards_code=[command(trap)]))

    from_pt2(rewritten(saved, tmp_path / "model.pt2", change))
    assert not trap.exists()


@pytest.mark.parametrize("part", ["data/aotinductor/model/a.so", "models/other.json", "data/constants/custom_obj_0"])
def test_compiled_code_and_other_parts_are_refused(saved, tmp_path, part):
    path = rewritten(saved, tmp_path / "model.pt2", lambda records: records.update({part: b"{}"}))
    with pytest.raises(ModelError, match=part):
        from_pt2(path)


def test_operators_that_are_not_torchs_are_refused(saved, tmp_path):
    def change(records):
        records["models/model.json"] = records["models/model.json"].replace(b"torch.ops.aten.relu", b"torch.os.system")

    with pytest.raises(ModelError, match=r"torch\.os\.system"):
        from_pt2(rewritten(saved, tmp_path / "model.pt2", change))


def test_json_of_another_shape_is_refused(saved, tmp_path):
    path = rewritten(
        saved,
        tmp_path / "model.pt2",
        lambda records: records.update({"data/weights/model_weights_config.json": b"[1]"}),
    )
    with pytest.raises(ModelError, match="JSON"):
        from_pt2(path)


def test_a_fixed_batch_is_refused_with_the_way_out(net, tmp_path):
    torch.export.save(program(net, dynamic=None), tmp_path / "model.pt2")
    with pytest.raises(ModelError, match="fixed shape") as caught:
        from_pt2(tmp_path / "model.pt2")
    assert "dynamic_shapes" in caught.value.fix


def test_training_mode_is_refused(tmp_path):
    torch.export.save(program(Net().train()), tmp_path / "model.pt2")
    with pytest.raises(ModelError, match="training mode"):
        from_pt2(tmp_path / "model.pt2")


def test_half_precision_is_refused(tmp_path):
    layer = torch.nn.Linear(3, 2).half()
    saved_program = torch.export.export(layer, (torch.zeros(2, 3).half(),), dynamic_shapes=({0: ROWS},))
    torch.export.save(saved_program, tmp_path / "model.pt2")
    with pytest.raises(ModelError, match="float16"):
        from_pt2(tmp_path / "model.pt2")


@pytest.mark.parametrize("content", ["empty", "text", "cut", "state dict"])
def test_other_files_are_refused(saved, tmp_path, content):
    path = tmp_path / "model.pt2"
    if content == "state dict":
        torch.save(Net().state_dict(), path)
    else:
        data = saved.read_bytes()
        path.write_bytes({"empty": b"", "text": b"hello" * 99, "cut": data[: len(data) // 2]}[content])
    with pytest.raises(ModelError, match="is a truncated or invalid"):
        from_pt2(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match="none"):
        from_pt2(tmp_path / "none.pt2")
