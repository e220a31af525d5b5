"""Models, their specs, runs and bundles, and what stands beside them: profiles, recipes, keys."""

import hashlib
import json

import onnx
import yaml

from tests.fuzz.fuzz_case import command, library
from tests.fuzz.fuzz_mutations import change_bytes, change_text, change_value, to_json


def onnx_file(rng, base, here):
    """Read and checked by this machine's own libraries, as export does."""
    from edgefair.exporters.checked import read_model

    path = here / "x.onnx"
    path.write_bytes(change_bytes(rng, (base / "fair.onnx").read_bytes()))
    return library("read_model x.onnx", lambda: read_model(path))


def spec(rng, base, here):
    """A model file whose own description of its inputs and outputs is damaged."""
    model = onnx.load_model(here / "dist/signed/model.onnx")
    entry = next(item for item in model.metadata_props if item.key == "edgefair.spec")
    entry.value = to_json(change_value(rng, json.loads(entry.value))).decode()
    onnx.save_model(model, here / "x.onnx")
    return command("verify", "x.onnx", "--no-latency")


def profile(rng, base, here):
    text = (base / "board.yaml").read_text()
    content = change_text(rng, text) if rng.random() < 0.5 else to_json(change_value(rng, yaml.safe_load(text)))
    (here / "board.yaml").write_bytes(content)
    return command("target", "list", "board.yaml", *rng.choice(((), ("--json",))))


def recipe(rng, base, here):
    from edgefair.compress.quantization.recipe import open_recipe
    from edgefair.resources import shipped_path

    text = shipped_path("calibration", "int8-balanced.yaml").read_text()
    content = change_text(rng, text) if rng.random() < 0.5 else to_json(change_value(rng, yaml.safe_load(text)))
    (here / "r.yaml").write_bytes(content)
    return library("open_recipe r.yaml", lambda: open_recipe("r.yaml", base=here))


def keys(rng, base, here):
    name, arguments = rng.choice(
        (
            ("key.pem", ("sign", "dist/signed", "--key", "key.pem")),
            ("key.pub", ("inspect", "dist/signed", "--public-key", "key.pub")),
        )
    )
    (here / name).write_bytes(change_bytes(rng, (base / name).read_bytes()))
    return command(*arguments)


def bundle(rng, base, here):
    """A bundle with a changed file is opened by nobody who checks; what is not covered by a digest is only read."""
    name = rng.choice(("manifest.json", "report.json", "attestation.dsse.json", "spec.json", "model.onnx"))
    path = here / "dist/signed" / name
    content = path.read_bytes()
    if name.endswith(".json") and rng.random() < 0.6:
        damaged = to_json(change_value(rng, json.loads(content)))
    else:
        damaged = change_bytes(rng, content)
    path.write_bytes(damaged)
    if name == "report.json" and rng.random() < 0.5:
        _list_again(here / "dist/signed", name, damaged)
    how = rng.choice(("inspect", "signed", "sign", "verify", "load"))
    if how == "load":
        from edgefair.probe.bundles.runtime import BundleError, load

        key = None if rng.random() < 0.5 else here / "key.pub"
        return library(f"load with {key}", lambda: load(here / "dist/signed", key), refusals=(BundleError,))
    return command(
        *{
            "inspect": ("inspect", "dist/signed"),
            "signed": ("inspect", "dist/signed", "--public-key", "key.pub"),
            "sign": ("sign", "dist/signed", "--key", "key.pem"),
            "verify": ("verify", "dist/signed", "--no-latency"),
        }[how],
        # Of the attestation itself the ids of keys are not signed.
        honest=(lambda: damaged == content) if how == "signed" and not name.startswith("attestation") else None,
    )


def _list_again(folder, name, content):
    """Write the new digest of a file into the manifest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    path.write_text(json.dumps(manifest))


def run_folder(rng, base, here):
    from torch import nn

    from edgefair.training.checkpoint import load_weights, save_weights
    from edgefair.training.run import load_run

    network = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 2))
    run = here / "runs" / "r"
    run.mkdir(parents=True)
    save_weights(network, run / "model.safetensors")
    content = {
        "schema": "edgefair.run/1", "model": {"network": "mlp"}, "array_shapes": {}, "metrics": {},
        "spec": json.loads((base / "spec.json").read_text()), "settings": {"seed": 0},
    }  # fmt: skip
    if rng.random() < 0.5:
        text = json.dumps(content).encode()
        text = change_bytes(rng, text) if rng.random() < 0.3 else to_json(change_value(rng, content))
        (run / "run.json").write_bytes(text)
        return library("load_run", lambda: load_run(run))
    weights = run / rng.choice(("model.safetensors", "model.pt"))
    weights.write_bytes(change_bytes(rng, (run / "model.safetensors").read_bytes()))
    return library(f"load_weights {weights.name}", lambda: load_weights(weights, network))
