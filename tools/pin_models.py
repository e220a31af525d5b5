"""Digests of the ONNX files that fixed recipes make: `python tools/pin_models.py NETWORK FOLDER` prints those of one.

Every network is trained for seconds with a fixed seed, and every recipe is one export of that run. The data are what
the package draws (glyphs) or what is written here. A network's recipes share a process, so torch is loaded once.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import edgefair

# Processes side by side.
AT_ONCE = 2
Recipe = Mapping[str, Any]

STATIC: Recipe = {"compress.int8": "static"}
DYNAMIC: Recipe = {"compress.int8": "dynamic"}
FP16: Recipe = {"compress.fp16": True}
TENSORRT: Recipe = {**STATIC, "compress.calibration": "int8-tensorrt"}
QAT: Recipe = {**STATIC, "compress.qat": True}
PRUNED: Recipe = {**STATIC, "compress.prune": 0.4, "compress.round_to": 4}
LOW_RANK: Recipe = {"compress.low_rank": 0.4}
# Weights of 15 values and activations of which most are cut off: what the repair has to undo.
COARSE: Recipe = {
    "name": "coarse", "rows": 512, "balance": "group-label", "weights": "per-tensor", "weight_bits": 4,
    "method": "percentile", "percentile": 40,
}  # fmt: skip
REPAIR: Recipe = {
    **STATIC,
    "compress.calibration": "coarse.yaml",
    "compress.repair.enabled": True,
    "policy.max_accuracy_drop": 0.01,
}
EVERYWHERE: Mapping[str, Recipe] = {"float": {}, "static": STATIC, "fp16": FP16, "tensorrt": TENSORRT}
RECIPES: Mapping[str, Mapping[str, Recipe]] = {
    "mlp": {
        **EVERYWHERE,
        "dynamic": DYNAMIC,
        "entropy": {**STATIC, "compress.calibration": "int8-entropy"},
        "percentile": {**STATIC, "compress.calibration": "int8-percentile"},
        "pruned": PRUNED,
        "pruned by fairgrape": {**PRUNED, "compress.importance": "fairgrape", "compress.scope": "global"},
        "pruned by fairprune, in rounds": {**PRUNED, "compress.importance": "fairprune", "compress.rounds": 2},
        "low rank": LOW_RANK,
        "low rank by energy": {"compress.low_rank": "energy", "compress.energy": 0.8},
        "low rank by worst group": {"compress.low_rank": "worst-group", "compress.tolerance": 0.2},
        "sparse": {"compress.sparsity": 0.5},
        "clusters": {**STATIC, "compress.cluster": 8},
        "qat": QAT,
        "student": {**STATIC, "compress.distill.teacher": "plain", "compress.distill.student": 0.5},
        "pruned and taught": {**PRUNED, "compress.distill.teacher": "plain", "compress.distill.method": "mfd"},
        "threshold": {**STATIC, "debias.post": ["threshold"]},
        "last layer": {**STATIC, "debias.post": ["last-layer"]},
        "repair": REPAIR,
        "repair by layers in float": {
            **REPAIR,
            "compress.repair.moves": ["float"],
            "policy.max_accuracy_drop": 0.03,
        },
    },
    "resnet-18": {**EVERYWHERE, "pruned": PRUNED, "qat": QAT},
    "mobilenet-v2": {"float": {}, "static": STATIC, "pruned": PRUNED, "qat": QAT},
    "vit-small": {**EVERYWHERE, "dynamic": DYNAMIC, "pruned": PRUNED, "low rank": LOW_RANK},
    "text-transformer": {**EVERYWHERE, "dynamic": DYNAMIC, "low rank": LOW_RANK, "qat": QAT},
}
# Of training, where four leave a network that no gate lets through.
EPOCHS = {"mobilenet-v2": 12}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "mlp": {"hidden": [64, 32]},
    "resnet-18": {"width": 0.125},
    "mobilenet-v2": {"width": 0.25},
    "vit-small": {"width": 48, "depth": 2, "heads": 3},
    "text-transformer": {"width": 32, "depth": 2, "heads": 2},
}
SIDE = 16
GLYPHS: Mapping[str, Any] = {
    "rows": 600, "audit_rows": 160, "size": SIDE, "contrast": 1.0, "stroke": 1.0, "share": 0.5, "texture": 0.0,
}  # fmt: skip
SPLIT: Mapping[str, Any] = {"column": "part", "train": ["train"], "audit": ["test"]}
WORDS = ("film", "plot", "scene", "actor", "music", "story", "slow", "loud", "long", "new")
TOLD_BY = {"no": ("good", "nice"), "yes": ("bad", "awful")}


def model_digests(folder: Path) -> dict[str, dict[str, str]]:
    """Network -> recipe -> SHA-256 of what an export of it shipped."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(RECIPES, pool.map(lambda name: in_own_process(name, folder / name), RECIPES), strict=True))


def in_own_process(network: str, folder: Path) -> dict[str, str]:
    """Recipe -> digest, of one network; RuntimeError with what it said where it fails."""
    done = subprocess.run(
        [sys.executable, __file__, network, str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{network}: exit {done.returncode}\n{done.stderr}")
    found: dict[str, str] = json.loads(done.stdout)
    return found


def digests_of(network: str, folder: Path) -> dict[str, str]:
    """Train a network in a new folder, export every recipe, and take the digests."""
    folder.mkdir(parents=True)
    write_project(network, folder)
    config = folder / "edgefair.yaml"
    edgefair.train(edgefair.load_config(config), name="plain")
    found = {}
    for name, recipe in RECIPES[network].items():
        output = folder / "shipped" / name
        report = edgefair.export(edgefair.load_config(config, recipe), run="plain", output=output, latency=False)
        if report.exit_code != 0:
            raise RuntimeError(f"{network}, {name}: {report.outcome}, nothing was shipped")
        found[name] = hashlib.sha256((output / "model.onnx").read_bytes()).hexdigest()
    return found


def write_project(network: str, folder: Path) -> None:
    """A config that lets everything through, and the data that its network needs."""
    data, group, groups = DATA.get(network, pictures)(folder)
    picture = {"height": SIDE, "width": SIDE, "channels": 1}
    config = {
        "project": "pins",
        "data": {"validation": 0.3, **data},
        "model": {"network": network, "options": OPTIONS[network], "picture": picture, "text_length": 12},
        "train": {"epochs": EPOCHS.get(network, 4), "batch_rows": 32, "learning_rate": 0.01},
        "finetune": {"epochs": 1, "batch_rows": 32, "learning_rate": 0.001},
        "compress": {"repair": {"enabled": False, "max_trials": 8}},
        "policy": {
            "max_eo_gap": 1.0,
            "min_balanced_accuracy": 0.0,
            "on_inconclusive": "warn",
            "attributes": {group: {"groups": groups}},
        },
    }
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "coarse.yaml").write_text(yaml.safe_dump(dict(COARSE)))


def pictures(_folder: Path) -> tuple[dict[str, Any], str, list[str]]:
    """The `data:` section, the attribute that is judged, and its groups."""
    return {"source": "glyphs", "glyphs": dict(GLYPHS)}, "group", ["majority", "minority"]


def table(folder: Path) -> tuple[dict[str, Any], str, list[str]]:
    """Numbers and a category, of which two tell the label; else as `pictures`."""
    rng = np.random.default_rng(0)
    rows = 3000
    skill, job = rng.normal(size=rows).round(4), rng.choice(["cook", "nurse", "pilot"], rows)
    label = skill + (job == "pilot") + 0.3 * rng.normal(size=rows) > 0.3
    columns = {
        "skill": skill,
        "age": rng.integers(18, 80, rows),
        "job": job,
        "sex": rng.choice(["F", "M"], rows),
        "label": np.where(label, "yes", "no"),
        "part": np.where(np.arange(rows) % 3 == 0, "test", "train"),
    }
    return written(folder, columns), "sex", ["F", "M"]


def texts(folder: Path) -> tuple[dict[str, Any], str, list[str]]:
    """Texts in which two of the words tell the label; else as `pictures`."""
    rng = np.random.default_rng(0)
    rows = 900
    label = rng.choice(list(TOLD_BY), rows)
    columns = {
        "text": [" ".join(rng.permutation([*rng.choice(WORDS, 6), *rng.choice(TOLD_BY[said], 2)])) for said in label],
        "sex": rng.choice(["F", "M"], rows),
        "label": label,
        "part": np.where(np.arange(rows) % 3 == 0, "test", "train"),
    }
    write_tokenizer(folder / "tokenizer")
    return (
        {**written(folder, columns), "text": "text", "tokenizer": "tokenizer", "equal_rows": "people"},
        "sex",
        [
            "F",
            "M",
        ],
    )


def written(folder: Path, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The `data:` section of columns, written as CSV."""
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    return {"source": "rows.csv", "label": "label", "positive": "yes", "sensitive": ["sex"], "split": dict(SPLIT)}


def write_tokenizer(folder: Path) -> None:
    """A tokenizer of whole words, as save_pretrained writes it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", *WORDS, *(word for pair in TOLD_BY.values() for word in pair)]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)


DATA = {"mlp": table, "text-transformer": texts}

if __name__ == "__main__":
    print(json.dumps(digests_of(sys.argv[1], Path(sys.argv[2]).absolute())))
