"""`edgefair target`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.options import config_options, overrides, result_options
from edgefair.cli.progress import progress_bar
from edgefair.cli.say import say


@click.group("target")
def command() -> None:
    """Devices that a model can be measured on."""


@command.command("list")
@click.argument("targets", nargs=-1)
@result_options
def list_command(targets: tuple[str, ...], formats: tuple[str, ...], as_json: bool) -> None:
    """TARGETS, or all that are known by name: their budgets, and what each still needs on this machine.

    \b
    Examples:
      edgefair target list
      edgefair target list my-board.yaml ssh://pi@192.168.0.7
    """
    from edgefair.report.output import outputs_of, write_result
    from edgefair.workflow.targets import known_targets

    outputs = outputs_of(formats, as_json=as_json)
    write_result(known_targets(targets), outputs)


@command.command("prepare")
@click.argument("target")
@result_options
def prepare_command(target: str, formats: tuple[str, ...], as_json: bool) -> None:
    """Download or install what TARGET needs, start it once, and say what it is.

    \b
    Examples:
      edgefair target prepare qemu:cortex-a76
      edgefair target prepare my-board.yaml
    """
    from edgefair.report.output import outputs_of, write_result
    from edgefair.workflow.targets import prepare_target

    outputs = outputs_of(formats, as_json=as_json)
    with progress_bar() as progress:
        device = prepare_target(target, progress)
    write_result(device, outputs)


@command.command("probe")
@click.argument("target")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    default=None,
    help="Also ask it this bundle's canary rows, and refuse a device that answers differently from the judged one.",
)
@result_options
def probe_command(target: str, bundle: Path | None, formats: tuple[str, ...], as_json: bool) -> None:
    """Ask TARGET what it is: processor, instruction sets, runtime, temperature.

    \b
    Examples:
      edgefair target probe qemu:cortex-a76
      edgefair target probe ssh://pi@192.168.0.7 --bundle dist/people
    """
    from edgefair.report.output import outputs_of, write_result
    from edgefair.workflow.targets import probe_target

    outputs = outputs_of(formats, as_json=as_json)
    with progress_bar() as progress:
        device = probe_target(target, progress, bundle=bundle)
    write_result(device, outputs)


@command.command("loader")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("edgefair_runtime.zip"), show_default=True,
    help="The file to write.",
)  # fmt: skip
def loader_command(output: Path) -> None:
    """Write the module that a device loads bundles with: one file beside numpy and onnxruntime.

    It refuses a bundle that was modified, whose verdict blocks it, or that was judged on other devices.

    \b
    Examples:
      edgefair target loader -o edgefair_runtime.zip
    """
    from edgefair.workflow.targets import write_loader

    write_loader(output)
    say(f"wrote {output}")


@command.command("program")
@click.option("--run", "run_name", default=None, help="Training run to write.  [default: the only one in runs/]")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("model.pte"), show_default=True,
    help="The file to write.",
)  # fmt: skip
@click.option("--int8", is_flag=True, help="8-bit weights and activations, calibrated as `export` is (.tflite).")
@config_options
def program_command(
    run_name: str | None, output: Path, int8: bool, config_path: Path, settings: tuple[str, ...]
) -> None:
    """Write a training run as a program for ExecuTorch (.pte) or LiteRT (.tflite), by the suffix of the file.

    It takes one row at a time; ExecuTorch's is lowered to XNNPACK. It needs executorch, or litert-torch. Nothing is
    judged: `edgefair verify FILE --target executorch` (or litert) does that.

    \b
    Examples:
      edgefair target program --run fair -o fair.pte
      edgefair target program --run fair -o fair.tflite --int8
    """
    from edgefair.config import load_config
    from edgefair.workflow.compression.programs import write_program

    config = load_config(config_path, overrides(settings))
    with progress_bar() as progress:
        write_program(config, run_name, output, progress, int8=int8)
    say(f"wrote {output}")


@command.command("describe")
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file to write.")
@config_options
def describe_command(model: Path, output: Path, config_path: Path, settings: tuple[str, ...]) -> None:
    """Write MODEL (.onnx, .tflite, .pte) with its spec: how it is fed and read, under one digest.

    The spec comes from edgefair.yaml (model.picture, model.output) and the data. What the file carries already stays.

    \b
    Examples:
      edgefair target describe firmware.tflite -o described.tflite
    """
    from edgefair.config import load_config
    from edgefair.workflow.targets import write_described

    config = load_config(config_path, overrides(settings))
    with progress_bar() as progress:
        write_described(config, model, output, progress)
    say(f"wrote {output}")
