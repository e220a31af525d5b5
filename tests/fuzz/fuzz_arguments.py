"""Configs, settings and command lines."""

import json

import yaml

from edgefair.cli import COMMANDS, main
from tests.fuzz.fuzz_case import FAIR, NOT_IN_ARGUMENTS, RECORD, command
from tests.fuzz.fuzz_mutations import NUMBERS, TEXTS, change_text, change_value, is_deep, odd_value, to_json

# As few simulations as it takes: an input has seconds.
PLAN = ("plan", "--simulations", "50")


def config(rng, base, here):
    text = (base / "edgefair.yaml").read_text()
    if rng.random() < 0.5:
        content = change_text(rng, text)
    else:
        content = to_json(change_value(rng, yaml.safe_load(text.replace("2099-01-31", "'2099-01-31'"))))
    (here / "edgefair.yaml").write_bytes(content)
    commands = (RECORD, RECORD, ("data", "describe", "--json"), PLAN, FAIR)
    return command(*rng.choice(commands))


KEYS = (
    "seed", "project", "targets", "output", "policy", "policy.alpha", "policy.max_eo_gap", "policy.attributes",
    "policy.attributes.sex", "policy.attributes.sex.groups",
    "policy.metrics", "policy.waivers", "policy.rule", "policy.min_cell_rows", "policy.max_size_bytes", "data",
    "data.source", "data.label", "data.positive", "data.classes", "data.sensitive", "data.features", "data.split",
    "data.split.seed", "data.split.column", "data.split.audit_fraction", "data.where", "data.merge", "data.thin",
    "data.keep", "data.noise",
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
    return command(*rng.choice((RECORD, ("data", "describe", "--json"), PLAN)), *arguments)


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
    "compare": [("compare", "raw.npz", "raw.npz")], "data": [("data", "describe", "--json")], "plan": [PLAN],
    "init": [("init", "--data", "small.csv", "--label", "label", "--positive", "yes", "--sensitive", "sex", "--force")],
    "target": [("target", "list"), ("target", "list", "board.yaml")], "report": [("report",), ("report", "--schema")],
    "audit": [("audit", "status", "--json"), ("audit", "open")],
    "policy": [("policy", "sign", "--key", "key.pem"), ("policy", "check", "p.json", "--public-key", "key.pub")],
    "study": [("study", "run", "--list"), ("study", "run", "board.yaml", "--dry-run"), ("study", "schema"),
              ("study", "report", "dist/signed")],
    "check": [("check", "edgefair.yaml", "dist/signed")], "doctor": [("doctor",), ("doctor", "--json")],
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


assert set(COMMANDS) == {*FIRST, *SLOW}
