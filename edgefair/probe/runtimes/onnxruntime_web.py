"""onnxruntime-web: a model as a web page runs it, by WebAssembly or WebGPU, in a browser that is started for it."""

from __future__ import annotations

import functools
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from edgefair.probe.browser.chromium import INSTALL, find_browser
from edgefair.probe.browser.package import FILES, VERSION, is_prepared, read_files
from edgefair.probe.browser.page import Page, PageError
from edgefair.probe.browser.session import WebSession, explained
from edgefair.probe.errors import ProbeError
from edgefair.probe.formats.base import FileFormat
from edgefair.probe.formats.onnx import FORMAT as ONNX
from edgefair.probe.runtimes.onnxruntime import check_entries

# The one setting of `config` that is no session entry, and its one value: WebGPU on the processor, not on a GPU.
ADAPTER, SOFTWARE = "adapter", "swiftshader"
# What chromium is told, by provider and whether WebGPU shall run on the processor. On Linux it offers WebGPU on few
# GPUs unasked, and says more of an adapter to developers.
WEBGPU = ["--enable-unsafe-webgpu", "--enable-webgpu-developer-features"]
FLAGS = {
    ("wasm", False): [],
    ("webgpu", False): [*WEBGPU, "--enable-features=Vulkan"],
    ("webgpu", True): [*WEBGPU, f"--use-webgpu-adapter={SOFTWARE}"],
}
MEANT = (
    "Measure where there is a GPU with its driver, or on target web:webgpu-software, whose adapter is the processor "
    f"(`config: {{{ADAPTER}: {SOFTWARE}}}` in a profile)"
)
# The page's name for a browser that has WebGPU and nothing to run it on.
NO_ADAPTER = "no_adapter"
LEVELS = {"disable": "disabled", "basic": "basic", "extended": "extended", "all": "all"}


class OnnxRuntimeWeb:
    """onnxruntime-web in a page of chromium's. See `probe.runtimes.base.Runtime`."""

    format: FileFormat = ONNX
    levels: Sequence[str] = tuple(LEVELS)
    opens_bundles: bool = False

    def facts(self) -> Dict[str, Any]:
        """The version that was prepared."""
        return {"onnxruntime_web": VERSION} if is_prepared() else {}

    def open(self, content: bytes, options: Mapping[str, Any]) -> Tuple[WebSession, Dict[str, Any]]:
        """A session in the page, made of exactly these bytes, and what that page is.

        options["providers"] is `wasm` or `webgpu`; options["config"] may hold session entries, and
        `adapter: swiftshader` where WebGPU shall run on the processor.

        Raises:
            ProbeError: `no_runtime` without a browser, the package, or a WebGPU adapter of that kind; `invalid_graph`
                where onnxruntime-web cannot load the model; `bad_request` for settings that it does not know.
        """
        try:
            provider = only_provider(options["providers"])
            entries, software = split_config(options["config"])
            if (provider, software) not in FLAGS:
                raise ValueError(f"`{ADAPTER}` belongs to provider webgpu")
        except ValueError as error:
            raise ProbeError("bad_request", str(error)) from error
        page = _page(provider, int(options["threads"]), software)
        level = LEVELS[options["optimization"]]
        session = WebSession(page, content, provider=provider, level=level, entries=entries)
        adapter = session.adapter or {}
        if adapter.get("software") and not software:
            raise ProbeError("no_runtime", f"WebGPU has a software adapter alone ({_in_words(adapter)}). {MEANT}")
        return session, {
            "browser": page.browser.product,
            "sandboxed": page.browser.sandboxed,
            "onnxruntime_web": VERSION,
            "wasm_sha256": next(digest for name, digest in FILES[provider].items() if name.endswith(".wasm")),
            "adapter": _in_words(adapter),
        }


RUNTIME = OnnxRuntimeWeb()


def only_provider(providers: List[str]) -> str:
    """The execution provider of a profile.

    Raises:
        ValueError: another than onnxruntime-web has, or several.
    """
    if len(providers) != 1 or providers[0] not in FILES:
        found = ", ".join(providers) or "none"
        raise ValueError(f"onnxruntime-web runs on one of {', '.join(FILES)}, and `providers` are {found}")
    return providers[0]


def split_config(config: Mapping[str, str]) -> Tuple[Dict[str, str], bool]:
    """Session entries, and whether WebGPU shall run on the processor.

    Raises:
        ValueError: an entry that is not known to be harmless, or another adapter.
    """
    entries = {key: value for key, value in config.items() if key != ADAPTER}
    check_entries(entries)
    if config.get(ADAPTER, SOFTWARE) != SOFTWARE:
        raise ValueError(f"`{ADAPTER}` is '{config[ADAPTER]}', and may be {SOFTWARE} or absent")
    return entries, ADAPTER in config


@functools.lru_cache(maxsize=None)
def _page(provider: str, threads: int, software: bool) -> Page:
    """The page that all models of these settings share, so that they are timed in turns in one process.

    Raises:
        ProbeError: as `OnnxRuntimeWeb.open`.
    """
    program = find_browser()
    if program is None:
        raise ProbeError("no_runtime", f"there is no browser on the PATH: {INSTALL}")
    files = read_files(provider)
    page = Page(program, FLAGS[provider, software], {f"ort/{name}": content for name, content in files.items()})
    try:
        page.ask("start", {"module": f"./ort/{next(iter(files))}", "threads": threads, "provider": provider})
    except PageError as error:
        page.close()
        if error.kind == NO_ADAPTER:
            raise ProbeError("no_runtime", f"{error}. {MEANT}") from error
        raise explained(error, "no_runtime") from error
    return page


def _in_words(adapter: Mapping[str, Any]) -> str:
    """What the browser says of a WebGPU adapter; nothing of none."""
    keys = ("vendor", "architecture", "device", "description", "driver")
    return ", ".join(str(adapter[key]) for key in keys if adapter.get(key))
