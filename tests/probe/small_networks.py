"""Small networks in the files that edgefair makes of them for TensorRT."""

import numpy as np
import onnx

from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, PictureSpec, Reading, TokenSpec

PRECISIONS = ("fp32", "fp16", "int8")
ROWS = 80


def small_network(folder, network, precision="fp32", calibration="int8-tensorrt"):
    """Path of the file, and rows for it."""
    model, inputs = exported(folder, network)
    path = folder / f"{network}-{precision}.onnx"
    onnx.save_model(compressed(model, inputs, precision, calibration), path)
    return str(path), inputs


def exported(folder, network):
    """The FP32 graph, and rows for it."""
    from edgefair.exporters.torch_module import export_classifier

    classifier, spec, inputs = built(network)
    return export_classifier(classifier, spec, {}, folder / f"{network}.onnx"), inputs


def built(network):
    import torch

    from edgefair.training.build import build_classifier
    from edgefair.training.settings import ModelConfig, PictureConfig

    rng = np.random.default_rng(0)
    if network == "mlp":
        items = (
            InputSpec("numeric", "float32", (Column("a"), Column("b"))),
            InputSpec("codes", "int32", (Column("c", ("x", "y", "z")),)),
        )
        inputs = {"numeric": rng.normal(size=(ROWS, 2)).astype(np.float32)}
        inputs["codes"] = rng.integers(-1, 3, (ROWS, 1), dtype=np.int32)
        config = ModelConfig(options={"hidden": [32, 16]})
    elif network == "text-transformer":
        items = (InputSpec("ids", "int32", tokens=TokenSpec("text", "ids", 12, "x", 50, 0)),)
        inputs = {"ids": rng.integers(0, 50, (ROWS, 12), dtype=np.int32)}
        config = ModelConfig(network=network, options={"width": 32, "depth": 1, "heads": 2})
    else:
        items = (InputSpec("picture", "uint8", picture=PictureSpec("p", 32, 32)),)
        inputs = {"picture": rng.integers(0, 256, (ROWS, 32, 32, 3), dtype=np.uint8)}
        options = {"width": 48, "depth": 1, "heads": 2} if network == "vit-small" else {"width": 0.125}
        config = ModelConfig(network=network, options=options, picture=PictureConfig(height=32, width=32))
    spec = ModelSpec(items, Reading("decision", "label", 0.5, "score"), ("no", "yes"))
    classifier = build_classifier(spec, config, {}, seed=0)
    with torch.no_grad():
        classifier.train()(*(torch.from_numpy(array) for array in inputs.values()))
    return classifier.eval(), spec, inputs


def compressed(model, inputs, precision, calibration="int8-tensorrt"):
    """The graph in another precision."""
    from edgefair.compress.quantization.calibrate import calibrate
    from edgefair.compress.quantization.fp16 import to_float16
    from edgefair.compress.quantization.prepare import prepare_graph
    from edgefair.compress.quantization.recipe import open_recipe
    from edgefair.compress.quantization.static import quantize_static

    if precision == "fp32":
        return model
    prepared = prepare_graph(model)
    if precision == "fp16":
        return to_float16(prepared)
    return quantize_static(prepared, calibrate(prepared, [inputs], method="minmax"), open_recipe(calibration))
