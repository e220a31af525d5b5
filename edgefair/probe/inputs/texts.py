"""Texts become tokens on the device as they did in the audit: the same tokenizer.json, truncation and padding."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgefair.probe.features import column, numbers
from edgefair.probe.onnx_files.spec import PARTS, InputSpec, TokenSpec


def cut_and_pad(tokenizer: Any, length: int, pad: int) -> None:
    """Make a `tokenizers.Tokenizer` give `length` tokens for every text, whatever it was saved with.

    What is too long loses its end, what is too short gets tokens of id `pad` behind it.
    """
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length, pad_id=pad, pad_token=tokenizer.id_to_token(pad))


class Cutter:
    """Fills the graph's inputs that take tokens, from texts or from ready arrays.

    content: of tokenizer.json; None where the bundle has none, and then only ready arrays are taken.

    Raises:
        ValueError: the content is not a tokenizer that the package here can read.
    """

    def __init__(self, inputs: Sequence[InputSpec], content: Optional[bytes]) -> None:
        self._inputs = [(item, item.tokens) for item in inputs if item.tokens is not None]
        self._shipped = content is not None
        self._tokenizers: Dict[int, Any] = {}
        if content is not None:
            for _, tokens in self._inputs:
                self._open(content, tokens)

    def arrays(self, raw: Mapping[str, Any]) -> Dict[str, np.ndarray]:
        """Input of the graph -> [rows, length].

        raw: texts under the column's name, one per row, or for each input a ready array under the input's own name.

        Raises:
            KeyError: neither is there.
            ValueError: not texts, or texts without a tokenizer.json in the bundle.
            ImportError: texts, and the package `tokenizers` is missing.
        """
        cut: Dict[Tuple[str, int], Any] = {}
        found = {}
        for item, tokens in self._inputs:
            if tokens.column in raw and not _ready(item, tokens, raw):
                key = (tokens.column, tokens.length)
                if key not in cut:
                    cut[key] = self._cut(raw[tokens.column], tokens)
                rows = [getattr(encoding, PARTS[tokens.part]) for encoding in cut[key]]
                found[item.name] = np.array(rows, dtype=item.dtype).reshape(-1, tokens.length)
            elif item.name in raw:
                found[item.name] = _tokens(item, tokens, raw[item.name])
            else:
                raise KeyError(tokens.column)
        return found

    def _open(self, content: bytes, tokens: TokenSpec) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            return
        try:
            tokenizer = Tokenizer.from_str(content.decode())
            cut_and_pad(tokenizer, tokens.length, tokens.pad)
        except Exception as error:
            raise ValueError(f"the package tokenizers here cannot read it: {error}") from error
        self._tokenizers[tokens.length] = tokenizer

    def _cut(self, texts: Any, tokens: TokenSpec) -> Any:
        if not self._shipped:
            raise ValueError(
                f"the bundle has no tokenizer.json for the texts of '{tokens.column}': pass ready-made arrays"
            )
        if tokens.length not in self._tokenizers:
            raise ImportError("texts need the package tokenizers: pip install tokenizers")
        checked = _texts(texts, tokens.column)
        try:
            return self._tokenizers[tokens.length].encode_batch(checked)
        except Exception as error:
            raise ValueError(f"the texts of '{tokens.column}' cannot be tokenized: {error}") from error


def _ready(item: InputSpec, tokens: TokenSpec, raw: Mapping[str, Any]) -> bool:
    """Whether a feature that has the same name as the graph's input holds its array."""
    return tokens.column == item.name and _whole(raw[item.name])


def _whole(values: Any) -> bool:
    try:
        return np.asarray(values).dtype.kind in "iu"
    except ValueError:
        return False


def _tokens(item: InputSpec, tokens: TokenSpec, values: Any) -> np.ndarray:
    ready = numbers(item.name, values, np.dtype(item.dtype), ndim=2)
    if ready.shape[1] != tokens.length:
        raise ValueError(f"feature '{item.name}' has {ready.shape[1]} tokens per row, and the model {tokens.length}")
    return ready


def _texts(values: Any, name: str) -> List[str]:
    given = column(name, values)
    texts = given.tolist() if isinstance(given, np.ndarray) else list(given)
    wrong = [type(value).__name__ for value in texts if not isinstance(value, str)]
    if wrong:
        raise ValueError(f"feature '{name}' holds a {wrong[0]}, not only texts")
    return texts
