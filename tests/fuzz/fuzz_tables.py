"""Tables, records, ledgers and the lists of published picture sets."""

import io
import json
import struct
import zipfile

import numpy as np

from edgefair.workflow.sealing.chain import START, line_of, link
from tests.fuzz.fuzz_case import RECORD, command, library
from tests.fuzz.fuzz_mutations import change_bytes, change_text, change_value, to_json


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


def ledger(rng, base, here):
    path = here / "edgefair.ledger.jsonl"
    lines = path.read_text() if path.exists() else ""
    entry = {"created": "x", "command": "verify", "audit": "a", "model": "b", "outcome": "PASS"}
    text = lines + to_json(change_value(rng, entry)).decode() + "\n" + lines
    path.write_bytes(change_text(rng, text) if rng.random() < 0.5 else text.encode())
    return command(*RECORD)


def account(rng, base, here):
    """The account of sealed audit rows."""
    lines, head = b"", START
    for number in range(rng.randrange(1, 4)):
        rows = {"rows": {"ids": "0" * 16}} if number == 0 else {}
        said = {"created": "x", "model": "m", "question": "q", "number": 1, "reason": "", **rows}
        facts = {"event": rng.choice(("asked", "passed", "opened")), "audit": "a", **said}
        entry, line = _chained(head, change_value(rng, facts)) or _chained(head, facts)
        lines, head = lines + line, entry["digest"]
    content = change_text(rng, lines.decode()) if rng.random() < 0.5 else lines
    (here / "edgefair.account.jsonl").write_bytes(content)
    asked = ("verify", "unfair.onnx", "--no-latency")
    return command(*rng.choice((asked, ("audit", "status"), ("audit", "open"))), "--set", "policy.audit=sealed")


def _chained(head, facts):
    """A line that follows another, whatever it says; None where no log could hold it."""
    try:
        entry = link(head, facts)
        return entry, line_of(entry)
    except (TypeError, ValueError, RecursionError):
        return None


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
