"""Texts that travel behind a model in its own file, under its one digest: a zip archive after the last byte.

It is TensorFlow Lite's own convention for what belongs to a model (labels, vocabularies); runtimes read the model from
the front and ignore what follows it. edgefair's member holds what an ONNX file has as its metadata.
https://ai.google.dev/edge/litert/models/metadata
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Dict, Mapping, Optional, Tuple

from edgefair.probe.files import read_json

MEMBER = "edgefair.json"
MOST_BYTES = 16 << 20
# The oldest moment that a zip archive knows: the same texts give the same bytes.
NO_TIME = (1980, 1, 1, 0, 0, 0)


def appended(content: bytes) -> Dict[str, str]:
    """The texts behind a model by their keys; none where there is no such archive.

    Raises:
        ValueError: the member is there twice, too large, packed, or holds something else.
    """
    archive = _archive(content)
    if archive is None:
        return {}
    found = [item for item in archive.infolist() if item.filename == MEMBER]
    if not found:
        return {}
    if len(found) > 1 or found[0].file_size > MOST_BYTES or found[0].compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"'{MEMBER}' in the archive behind the model is there twice, packed or too large")
    try:
        texts = read_json(archive.read(found[0]))
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise ValueError(f"'{MEMBER}' in the archive behind the model is damaged: {error}") from error
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError(f"'{MEMBER}' in the archive behind the model holds something else than texts")
    return texts


def with_appended(content: bytes, texts: Mapping[str, str]) -> bytes:
    """The file with these texts behind the model, in place of older ones; what else the archive holds stays."""
    model, others = _parts(content)
    stream = io.BytesIO(model)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for item, held in others:
            archive.writestr(item, held)
        text = json.dumps(dict(sorted(texts.items())), ensure_ascii=False)
        archive.writestr(zipfile.ZipInfo(MEMBER, NO_TIME), text)
    return stream.getvalue()


def _parts(content: bytes) -> Tuple[bytes, Tuple[Tuple[zipfile.ZipInfo, bytes], ...]]:
    """The model, and the members of its archive that are not edgefair's."""
    archive = _archive(content)
    if archive is None or not archive.infolist():
        return content, ()
    others = [(item, archive.read(item)) for item in archive.infolist() if item.filename != MEMBER]
    return content[: min(item.header_offset for item in archive.infolist())], tuple(others)


def _archive(content: bytes) -> Optional[zipfile.ZipFile]:
    try:
        return zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError):
        return None
