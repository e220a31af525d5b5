"""Make a classifier from its description, and fill it from a finished run."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.training.checkpoint import load_weights
from edgefair.training.classifier import Classifier, Preprocess
from edgefair.training.networks import open_network
from edgefair.training.run import Run
from edgefair.training.settings import ModelConfig


def build_classifier(
    spec: ModelSpec, model: ModelConfig, array_shapes: Mapping[str, tuple[int, ...]], *, seed: int
) -> Classifier:
    """An untrained classifier, its random weights drawn from `seed`."""
    torch.manual_seed(seed)
    preprocess = Preprocess(spec.inputs, array_shapes, model.picture)
    network = open_network(
        model.network,
        features=preprocess.features,
        classes=len(spec.classes),
        options=model.options,
        **_of_tokenizer(spec),
    )
    return Classifier(preprocess, network)


def load_classifier(run: Run) -> Classifier:
    """The trained classifier of a finished run, in evaluation mode.

    Raises:
        ModelError: the weights are missing, unreadable or of another network.
    """
    classifier = build_classifier(run.spec, run.model, run.array_shapes, seed=0)
    load_weights(run.weights, classifier)
    return classifier.eval()


def _of_tokenizer(spec: ModelSpec) -> dict[str, int]:
    """What a network of texts must know of its tokenizer, for its factory."""
    for item in spec.inputs:
        if item.tokens is not None:
            return {"vocabulary": item.tokens.vocabulary, "pad": item.tokens.pad}
    return {}
