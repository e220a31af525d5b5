"""Columns of texts, cut into tokens as a Hugging Face tokenizer does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories
from edgefair.data.hashing import hash_categories
from edgefair.errors import DataError, missing_extra
from edgefair.files import sha256_file
from edgefair.probe.inputs.texts import cut_and_pad
from edgefair.probe.onnx_files.spec import PARTS, InputSpec, TokenSpec
from edgefair.probe.regular import read_regular

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Tokenizer:
    """A `tokenizer.json`.

    Attributes:
        path: the file.
        sha256: of the file.
        vocabulary: number of ids.
        pad: the id of padding.
    """

    path: Path
    sha256: str
    vocabulary: int
    pad: int

    def spec(self, *, column: str, part: str, length: int) -> TokenSpec:
        """An input of this tokenizer."""
        return TokenSpec(column, part, length, self.sha256, self.vocabulary, self.pad)

    def open(self, length: int | None) -> Any:
        """A `tokenizers.Tokenizer` that pads and cuts to `length` tokens, or does neither."""
        from tokenizers import Tokenizer as Fast

        fast = Fast.from_file(str(self.path))
        if length is None:
            fast.no_padding()
            fast.no_truncation()
        else:
            cut_and_pad(fast, length, self.pad)
        return fast


def open_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder that `save_pretrained` wrote.

    Raises:
        UsageError: the package `tokenizers` is missing.
        DataError: no tokenizer.json there, one that cannot be read, or one without a padding token.
    """
    try:
        from tokenizers import Tokenizer as Fast
    except ImportError as error:
        raise missing_extra("a table of texts", "text", error) from error
    path = folder / TOKENIZER
    if not path.is_file():
        raise DataError(
            f"no '{path}'",
            expected="a folder with a fast tokenizer, saved by save_pretrained",
            fix="set data.tokenizer; AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER) writes one",
        )
    try:
        fast = Fast.from_file(str(path))
        token = _pad_token(folder, fast)
    except Exception as error:
        raise DataError(f"'{path}' is not a tokenizer: {error}", fix="save it again with save_pretrained") from error
    pad = None if token is None else fast.token_to_id(token)
    if pad is None:
        raise DataError(
            f"the tokenizer '{path}' has no padding token" + (f" '{token}'" if token else ""),
            fix="set one (tokenizer.pad_token = tokenizer.eos_token) and save it again",
        )
    return Tokenizer(path, sha256_file(path), fast.get_vocab_size(with_added_tokens=True), pad)


def _pad_token(folder: Path, fast: Any) -> str | None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            content = json.loads(read_regular(folder / name))
            token = content.get("pad_token")
            if token is not None:
                return str(token["content"] if isinstance(token, dict) else token)
    if fast.padding:
        return str(fast.padding["pad_token"])
    return next((token for token in ("[PAD]", "<pad>") if fast.token_to_id(token) is not None), None)


class Texts(LazyColumn):
    """A column of texts and the tokenizer that cuts them.

    Args:
        texts: every row has one.
    """

    kind: ClassVar[str] = "texts"
    coincide: ClassVar[bool] = True

    def __init__(self, texts: Categories, tokenizer: Tokenizer) -> None:
        self.texts = texts
        self.tokenizer = tokenizer
        self.hashes = hash_categories(texts)

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.int64]) -> Texts:
        """The given rows."""
        return Texts(self.texts.take(rows), self.tokenizer)

    def encoder(self, item: InputSpec) -> Callable[[int, int], NDArray[Any]]:
        """Ids, mask or types of every token: int [rows, length]."""
        tokens = item.tokens
        if tokens is None:
            raise DataError(
                f"the model's input '{item.name}' does not take tokens, and the data holds {self.kind}",
                expected="the kind of data that the model was trained on",
            )
        if tokens.tokenizer != self.tokenizer.sha256:
            raise DataError(
                f"the tokenizer '{self.tokenizer.path}' (sha256 {self.tokenizer.sha256[:12]}...) is not the model's",
                expected=f"the tokenizer that the model was trained with (sha256 {tokens.tokenizer[:12]}...)",
                fix="set data.tokenizer to the model's own folder; a bundle holds its tokenizer.json",
            )
        fast = self.tokenizer.open(tokens.length)
        part = PARTS[tokens.part]
        dtype = np.dtype(item.dtype)

        def encode(start: int, stop: int) -> NDArray[Any]:
            texts = [self.texts.values[code] for code in self.texts.codes[start:stop]]
            return np.array([getattr(encoding, part) for encoding in self._cut(fast, texts)], dtype=dtype)

        return encode

    def longer_than(self, length: int) -> NDArray[np.bool_]:
        """Which texts have more tokens than the model takes, bool [rows]: their ends are never seen."""
        fast = self.tokenizer.open(None)
        long = np.array([len(item.ids) > length for item in self._cut(fast, list(self.texts.values))], dtype=bool)
        return long[self.texts.codes]

    def _cut(self, fast: Any, texts: list[str]) -> Any:
        try:
            return fast.encode_batch(texts)
        except Exception as error:
            raise DataError(
                f"the tokenizer '{self.tokenizer.path}' cannot tokenize the texts: {error}",
                fix="save it again with save_pretrained",
            ) from error
