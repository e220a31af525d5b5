"""Every place where something from outside is read: how an input for it is damaged, and how it is given to edgefair.

A surface is a function of (random numbers, base project, folder of this case) that returns a `Case`; the folder is a
copy of the base project.
"""

import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import yaml
from click.testing import CliRunner
from fuzz_device import damage_with, replace_local
from fuzz_mutations import NUMBERS, TEXTS, change_bytes, change_text, change_value, is_deep, odd_value, to_json

from edgefair.cli import COMMANDS, main
from edgefair.errors import EdgefairError

REFUSED = 2
# What a shell cannot give to a command: a NUL; and what it gives for bytes that are no UTF-8.
NOT_IN_ARGUMENTS = {0: "0", 0xD800: "\udcff"}
RECORD = ("verify", "--from-record", "raw.npz")
FAIR = ("verify", "fair.onnx", "--no-latency")


@dataclass(frozen=True)
class Case:
    """What is done, and what may come of it.

    Attributes:
        what: in words, or the command line.
        run: does it; exit code and output.
        allowed: exit codes.
        honest: None, or whether exit code 0 is right for what the damaged input holds.
    """

    what: str
    run: Callable[[], tuple[int, str]]
    allowed: frozenset = frozenset({0, 1, 2, 3})
    honest: Callable[[], bool] | None = None


def command(*arguments, **options):
    """A command line of this process."""
    arguments = [str(item) for item in arguments]
    return Case(" ".join(arguments)[:2000], lambda: _invoke(arguments), **options)


def _invoke(arguments):
    result = CliRunner().invoke(main, arguments, input="")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def library(what, call, *, refusals=(), **options):
    """A call whose own kinds of refusal count as exit code 2."""

    def run():
        try:
            call()
        except EdgefairError as error:
            return error.exit_code, str(error)
        except refusals as error:
            return REFUSED, str(error)
        return 0, ""

    return Case(what, run, **options)


def config(rng, base, here):
    text = (base / "edgefair.yaml").read_text()
    if rng.random() < 0.5:
        content = change_text(rng, text)
    else:
        content = to_json(change_value(rng, yaml.safe_load(text.replace("2099-01-31", "'2099-01-31'"))))
    (here / "edgefair.yaml").write_bytes(content)
    commands = (RECORD, RECORD, ("data", "describe", "--json"), ("plan",), FAIR)
    return command(*rng.choice(commands))


KEYS = (
    "seed", "project", "targets", "output", "policy", "policy.alpha", "policy.max_eo_gap", "policy.attributes",
    "policy.attributes.sex", "policy.attributes.sex.groups",
    "policy.metrics", "policy.waivers", "policy.rule", "policy.min_cell_rows", "policy.max_size_bytes", "data",
    "data.source", "data.label", "data.positive", "data.classes", "data.sensitive", "data.features", "data.split",
    "data.split.seed", "data.split.column", "data.split.audit_fraction", "data.where", "data.merge", "data.thin",
    "data.layout", "data.picture", "data.text", "data.glyphs", "data.max_skipped", "data.exclude", "data.id",
    "model", "model.network", "model.options", "model.threshold", "model.picture", "model.output", "train",
    "train.epochs", "train.learning_rate", "debias.train", "debias.post", "compress", "compress.calibration",
    "compress.prune", "compress.int8", "finetune", "runs", "a", "", ".", "..", "a.b.c", "policy..alpha",
)  # fmt: skip


def settings(rng, base, here):
    arguments = []
    for _ in range(rng.choice((1, 1, 2))):
        value = rng.choice(
            (*NUMBERS, *TEXTS, "[f, m]", "{f: [m]}", "[[a]]", "null", "{a: {b: c}}", "{sex: {groups: [f]}}")
        )
        text = str(value).translate(NOT_IN_ARGUMENTS) if rng.random() < 0.8 else json.dumps(odd_flat(rng))
        arguments += ["--set", f"{rng.choice(KEYS)}{rng.choice(('=',) * 9 + ('',))}{text}"]
    return command(*rng.choice((RECORD, ("data", "describe", "--json"), ("plan",))), *arguments)


def odd_flat(rng):
    """An odd value that is not thousands of levels deep."""
    value = odd_value(rng)
    return [] if is_deep(value) else value


PATHS = (
    *(
        "",
        ".",
        "/",
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "pipe",
        "nope",
        "nope/nope",
        "loop.yaml",
        "key.pem",
        "a" * 300,
    ),
    *(
        "small.csv",
        "small.npz",
        "small.parquet",
        "people.parquet",
        "raw.npz",
        "fair.onnx",
        "unfair.onnx",
        "dist/signed",
    ),
    *("edgefair.yaml", "board.yaml", "tok", "pictures", "pictures/rgb.png", "key.pub", "\udcff", "-", "hf:tok", "hf:"),
    *("os:system", "sys:exit", "builtins:input", "builtins:print", "json:loads", ":", "a:", ":b", "x.pt2", "x.skops"),
    *(
        "local",
        "qemu:",
        "qemu:haswell",
        "ssh://",
        "ssh://a:b@c",
        "container:",
        "container:a b",
        "census-income",
        "glyphs",
    ),
)
# Parameters that are written to: they get no path outside of the case's own folder (`fuzz_guard` refuses it, too).
WRITTEN = frozenset({"output", "report_path", "record", "sheet", "exemplars", "plot_path"})
# Commands that train or look for devices take longer than an input may; what they are given is damaged all the same.
FIRST = {
    "verify": [RECORD, FAIR, ("verify",)], "export": [("export", "fair.onnx", "--no-latency", "--no-repair")],
    "sign": [("sign", "dist/signed", "--key", "key.pem")], "inspect": [("inspect", "dist/signed")],
    "compare": [("compare", "raw.npz", "raw.npz")], "data": [("data", "describe", "--json")], "plan": [("plan",)],
    "init": [("init", "--data", "small.csv", "--label", "label", "--positive", "yes", "--sensitive", "sex", "--force")],
    "target": [("target", "list"), ("target", "list", "board.yaml")],
}  # fmt: skip
SLOW = ("train", "diagnose", "explain")


def options(rng, base, here):
    name = rng.choice(list(FIRST)) if rng.random() < 0.9 else rng.choice(SLOW)
    arguments = list(rng.choice(FIRST.get(name, [(name, "--run", "nope")])))
    found = main.get_command(None, name)
    found = found.commands[arguments[1]] if hasattr(found, "commands") else found
    for parameter in rng.sample(found.params, k=min(len(found.params), rng.choice((1, 1, 2, 3)))):
        inside = [path for path in PATHS if not path.startswith("/")]
        paths = inside if parameter.name in WRITTEN else PATHS
        text = str(rng.choice((*NUMBERS, *TEXTS))).translate(NOT_IN_ARGUMENTS)
        value = rng.choice((rng.choice(paths), text if not text.startswith("/") else "text"))
        if not parameter.opts[0].startswith("-"):
            place = 1 + hasattr(main.get_command(None, name), "commands")
            arguments[place:] = [value, *arguments[place + 1 :]] if name in FIRST else arguments[place:]
        elif getattr(parameter, "is_flag", False):
            if parameter.name != "help":
                arguments.append(rng.choice([*parameter.opts, *parameter.secondary_opts]))
        else:
            choices = getattr(parameter.type, "choices", None)
            arguments += [parameter.opts[0], str(rng.choice(choices)) if choices and rng.random() < 0.5 else value]
    if name in SLOW and "--run" not in arguments and name != "train":
        arguments += ["--run", "nope"]
    if name == "train":
        arguments += ["--set", "data.source=nope.csv"]
    return command(*arguments, allowed=frozenset({0, 1, 2, 3, 130}))


def csv(rng, base, here):
    (here / "x.csv").write_bytes(change_text(rng, (base / "small.csv").read_text()))
    return command("data", "describe", "--json", "--set", "data.source=x.csv")


def parquet(rng, base, here):
    content = (base / "small.parquet").read_bytes()
    # Its last bytes describe all others.
    at = rng.choice((0, max(0, len(content) - 1500)))
    (here / "x.parquet").write_bytes(content[:at] + change_bytes(rng, content[at:]))
    return command("data", "describe", "--json", "--set", "data.source=x.parquet")


def _zip_with(rng, content, change):
    """The archive with one member replaced: by `change` of its bytes, under checksums that fit."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen = rng.choice(names)
        for name in names:
            new.writestr(name, change(old.read(name)) if name == chosen else old.read(name))
    return out.getvalue()


def npz(rng, base, here):
    content = (base / "small.npz").read_bytes()
    damaged = change_bytes(rng, content) if rng.random() < 0.5 else _zip_with(rng, content, lambda x: _header(rng, x))
    (here / "x.npz").write_bytes(damaged)
    return command("data", "describe", "--json", "--set", "data.source=x.npz")


def _header(rng, member):
    """A .npy file whose type or shape, or any byte, is another."""
    if rng.random() < 0.5:
        return change_bytes(rng, member)
    kinds = ("<f8", ">i2", "|O", "<U1", "|S3", "<M8[s]", "|V8", "<c16", "|b1", "<f2", "x", "<U99999999999")
    shapes = ("(120,)", "()", "(0,)", "(-1,)", "(2, 60)", "(99999999999999,)", "(120, 1)", "[120]", "(True,)", "(1e3,)")
    text = f"{{'descr': '{rng.choice(kinds)}', 'fortran_order': {rng.choice(('False', 'True', '3'))}, 'shape': "
    text += f"{rng.choice(shapes)}, }}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + member[128:]


def record(rng, base, here):
    """A damaged record never passes: what is damaged FAILed."""
    content = (base / "raw.npz").read_bytes()
    if rng.random() < 0.5:
        (here / "raw.npz").write_bytes(change_bytes(rng, content))
        return command(*RECORD, honest=lambda: False)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays = {name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name))) for name in archive.namelist()}
    if rng.random() < 0.7:
        facts = change_value(rng, json.loads(str(arrays["facts"])))
        arrays["facts"] = np.array(to_json(facts).decode())
    else:
        name = rng.choice(list(arrays))
        array = np.atleast_1d(arrays[name]).copy()
        changed = (array[:-1], array.astype(str), array.reshape(1, -1), array[::-1], array[:0])
        arrays[name] = rng.choice((*changed, *((array + 2**20, -array - 1) if array.dtype.kind == "i" else ())))
    np.savez_compressed(here / "raw.npz", **arrays)
    return command(*rng.choice((RECORD, RECORD, ("compare", "raw.npz", str(base / "raw.npz")))))


def pictures(rng, base, here):
    """Decoded for a model; a PNG, whose parts have checksums, is refused or gives the undamaged pixels."""
    from edgefair.data.decode import UnreadableError, decode, examine
    from edgefair.probe.spec import PictureSpec

    path = rng.choice(sorted((base / "pictures").iterdir()))
    content = path.read_bytes()
    bomb = rng.random() < 0.3
    damaged = _bomb(rng, content) if bomb else change_bytes(rng, content)
    (here / path.name).write_bytes(damaged)
    spec = PictureSpec(
        "p", 32, 32, channels=rng.choice((1, 3)), resample=rng.choice(("bilinear", "bicubic", "lanczos", "box")),
        shorter=rng.choice((None, 32, 224)),
    )  # fmt: skip
    found = []

    def call():
        examine(damaged)
        found.append(decode(damaged, spec))

    def honest():
        return path.suffix != ".png" or bomb or np.array_equal(found[0], decode(content, spec))

    return library(f"{path.name} {spec}", call, refusals=(UnreadableError,), honest=honest)


def _bomb(rng, content):
    """A PNG that claims to be large, rows of zeros behind it; or any other picture with other numbers in its head."""
    sides = (1, 2, 100, 8000, 30000, 65535, 500_000, 8_000_000, 60_000_000, 2**31 - 1)
    width, height = rng.choice(sides), rng.choice(sides)
    if not content.startswith(b"\x89PNG"):
        head = bytearray(content[:64])
        for _ in range(3):
            at = rng.randrange(4, 60)
            head[at : at + 2] = rng.choice((b"\xff\xff", b"\x7f\xff", b"\x00\x01", b"\xff\x3f"))
        return bytes(head) + content[64:]
    kind, depth = rng.choice(((0, 1), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (4, 8), (6, 8), (6, 16)))
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    size = min(height * (1 + (width * samples * depth + 7) // 8), 120_000_000)
    squeeze = zlib.compressobj(1)
    rows = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(size >> 20)) + squeeze.compress(
        bytes(size % (1 << 20))
    )
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    parts += [(b"PLTE", bytes(6)), (b"tRNS", b"\0")] if kind == 3 else []
    parts += [(b"IDAT", rows + squeeze.flush()), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


def tokenizer(rng, base, here):
    from edgefair.data.table import Categories
    from edgefair.data.texts import Texts, open_tokenizer
    from edgefair.probe.spec import InputSpec

    path = here / "tok" / rng.choice(("tokenizer.json", "tokenizer.json", "tokenizer_config.json"))
    content = path.read_bytes()
    change = rng.random() < 0.7
    path.write_bytes(to_json(change_value(rng, json.loads(content))) if change else change_bytes(rng, content))

    def call():
        found = open_tokenizer(here / "tok")
        texts = Texts(Categories.of(["a good day", "bad", "", "é \u2028"]), found)
        spec = found.spec(column="t", part="ids", length=4)
        texts.encoder(InputSpec("ids", "int64", tokens=spec))(0, 3)
        texts.longer_than(2)

    return library(path.name, call)


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
    from edgefair.compress.recipe import open_recipe
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
        from edgefair.probe.runtime import BundleError, load

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


def answers(rng, base, here):
    """A device whose answers are damaged: exit code 4, or what was judged is what an undamaged one answers."""
    chosen, kind = rng.randrange(5), rng.random()

    def damage(number, answer):
        if number != chosen:
            return answer
        magic, header_bytes, payload = struct.unpack("<4sIQ", answer[:16])
        header, rest = answer[16 : 16 + header_bytes], answer[16 + header_bytes :]
        if kind < 0.3:
            return change_bytes(rng, answer[: 16 + header_bytes]) + rest
        changed = to_json(change_value(rng, json.loads(header)))
        return struct.pack("<4sIQ", magic, len(changed), payload) + changed + rest

    damage_with(damage)
    latency = () if rng.random() < 0.5 else ("--target", "board.yaml")
    return command("verify", "fair.onnx", *(latency or ("--no-latency",)), allowed=frozenset({0, 1, 2, 3, 4}))


def frames(rng, base, here):
    """Requests and answers as bytes, read by the one function that both sides read by."""
    from edgefair.probe.wire import WireError, encode_frame, read_frame

    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "empty": np.zeros((0, 2), dtype=np.int64)}
    header = {"do": "run", "id": 3, "name": "m", "outputs": ["a"], "prepare": []}
    content = b"".join(bytes(part) for part in encode_frame(header, arrays))
    if rng.random() < 0.4:
        size = struct.unpack("<4sIQ", content[:16])[1]
        changed = to_json(change_value(rng, json.loads(content[16 : 16 + size])))
        damaged = struct.pack("<4sIQ", b"EFP1", len(changed), len(content) - 16 - size) + changed + content[16 + size :]
    else:
        damaged = change_bytes(rng, content)
    (here / "frame").write_bytes(damaged)
    return library("read_frame", lambda: read_frame(io.BytesIO(damaged)), refusals=(WireError,))


def ledger(rng, base, here):
    path = here / "edgefair.ledger.jsonl"
    lines = path.read_text() if path.exists() else ""
    entry = {"created": "x", "command": "verify", "audit": "a", "model": "b", "outcome": "PASS"}
    text = lines + to_json(change_value(rng, entry)).decode() + "\n" + lines
    path.write_bytes(change_text(rng, text) if rng.random() < 0.5 else text.encode())
    return command(*RECORD)


def layouts(rng, base, here):
    """The lists of published picture sets."""
    from edgefair.data.layouts import read_layout

    name = rng.choice(("celeba", "fairface", "raf-db", "ck+"))
    files = LISTS[name]
    chosen = rng.choice(list(files))
    for path, text in files.items():
        place = here / name / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(change_text(rng, text) if path == chosen else text.encode())
    for picture in PICTURES[name]:
        place = here / name / picture
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return library(f"read_layout {name} {chosen}", lambda: read_layout(name, here / name))


LISTS = {
    "celeba": {
        "list_attr_celeba.txt": "2\nMale Smiling\n1.jpg -1 1\n2.jpg  1 -1\n",
        "list_eval_partition.txt": "1.jpg 0\n2.jpg 2\n",
        "identity_CelebA.txt": "1.jpg 5\n2.jpg 7\n",
    },
    "fairface": {
        "fairface_label_train.csv": "file,age,gender,race,service_test\ntrain/1.jpg,3-9,Male,White,True\n",
        "fairface_label_val.csv": "file,age,gender,race,service_test\nval/1.jpg,0-2,Female,Black,False\n",
    },
    "raf-db": {
        "EmoLabel/list_patition_label.txt": "train_1.jpg 4\ntest_1.jpg 7\n",
        "Annotation/manual/train_1_manu_attri.txt": "1 2\n" * 5 + "0\n1\n2\n",
        "Annotation/manual/test_1_manu_attri.txt": "1 2\n" * 5 + "1\n0\n3\n",
    },
    "ck+": {"Emotion/S005/001/S005_001_00000011_emotion.txt": "3.0\n", "subjects.csv": "subject,sex\nS005,f\n"},
}
PICTURES = {
    "celeba": ("img_align_celeba/1.jpg", "img_align_celeba/2.jpg"),
    "fairface": ("train/1.jpg", "val/1.jpg"),
    "raf-db": ("Image/aligned/train_1_aligned.jpg", "Image/aligned/test_1_aligned.jpg"),
    "ck+": ("cohn-kanade-images/S005/001/S005_001_00000011.png",),
}


# Surface -> its share of all inputs.
SURFACES = {
    config: 10, settings: 12, options: 12, csv: 6, parquet: 6, npz: 6, record: 8, pictures: 8, tokenizer: 4,
    onnx_file: 6, spec: 5, profile: 5, recipe: 3, keys: 4, bundle: 8, run_folder: 4, answers: 5, frames: 8, ledger: 3,
    layouts: 4,
}  # fmt: skip


SURFACES_BY_NAME = {surface.__name__: surface for surface in SURFACES}


def finish_project(base: Path) -> None:
    """What is made by edgefair itself: the record of the unfair model and the signed bundle of the fair one."""
    os.chdir(base)
    replace_local()
    code, said = _invoke(["verify", "unfair.onnx", "--no-latency", "--record", "raw.npz"])
    assert code == 1, said
    code, said = _invoke(["export", "fair.onnx", "--no-latency", "--sign", "key.pem", "-o", "dist/signed"])
    assert code == 0, said
    model = onnx.load_model(base / "dist/signed/model.onnx")
    (base / "spec.json").write_text(next(item.value for item in model.metadata_props if item.key == "edgefair.spec"))


assert set(COMMANDS) == {*FIRST, *SLOW}
