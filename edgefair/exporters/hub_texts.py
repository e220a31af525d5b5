"""The tokenizer.json of a Hugging Face folder, how long a text may be, and whether padding leaves the model alone."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.data.texts import open_tokenizer
from edgefair.errors import ModelError, missing_extra
from edgefair.exporters.conversion import first_line
from edgefair.exporters.hub_graphs import Task, logits_of
from edgefair.probe.inputs.texts import cut_and_pad
from edgefair.probe.onnx_files.spec import PARTS

# What the inputs of a text model take.
INPUTS: Mapping[str, str] = {"input_ids": "ids", "attention_mask": "mask", "token_type_ids": "types"}
# Of the largest logit: by how much padding may change one.
PADDING_TOLERANCE = 1e-3
# Words of a text that is made up.
WORDS = 12
# Tokens of padding behind the longest text.
BEHIND = 7


@dataclass(frozen=True)
class TextFeed:
    """What a text model is fed with.

    names: of its inputs. tokenizer: the file. pad: the id of padding. length: the most tokens, None without a limit.
    """

    names: tuple[str, ...]
    tokenizer: Path
    pad: int
    length: int | None

    task: ClassVar[Task] = "text-classification"

    @property
    def limits(self) -> Mapping[str, int | None]:
        """Its dimensions of any size, and how large."""
        return {"rows": None, "tokens": self.length}

    def batch(self, rows: int) -> dict[str, NDArray[Any]]:
        """Made-up texts as inputs of the graph; another number of rows has another number of tokens."""
        wanted = 3 + 2 * rows
        return self.cut(self.texts(rows), wanted if self.length is None else min(wanted, self.length))

    def as_trained(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """A batch as the model itself takes it."""
        return dict(batch)

    def finish(self, graph: onnx.ModelProto) -> None:
        """Nothing is left to do."""

    def texts(self, rows: int) -> list[str]:
        """Texts of words of the vocabulary, each longer than the one before."""
        fast = self._open()
        special = {token.content for token in fast.get_added_tokens_decoder().values()}
        words = sorted(set(fast.get_vocab()) - special) or ["a"]
        drawn = np.random.default_rng(rows).integers(0, len(words), (rows, WORDS))
        return [" ".join(words[index] for index in row[: 2 + 3 * number]) for number, row in enumerate(drawn)]

    def cut(self, texts: list[str], tokens: int | None) -> dict[str, NDArray[Any]]:
        """The inputs int64 [rows, tokens]; None leaves a single text as long as it is, up to the model's limit."""
        fast = self._open()
        if tokens is not None:
            cut_and_pad(fast, tokens, self.pad)
        else:
            fast.no_padding()
            fast.no_truncation()
            if self.length is not None:
                fast.enable_truncation(self.length)
        encodings = fast.encode_batch(texts)
        return {
            name: np.array([getattr(item, PARTS[INPUTS[name]]) for item in encodings], dtype=np.int64)
            for name in self.names
        }

    def _open(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self.tokenizer))


def text_feed(folder: Path, model: Any, settings: Mapping[str, Any]) -> TextFeed:
    """Read the tokenizer beside a model.

    Args:
        model: of transformers.
        settings: of tokenizer_config.json; empty where there is none.

    Raises:
        UsageError: the package `tokenizers` is missing.
        ModelError: no tokenizer, one that cannot be read, or one of another vocabulary; a model whose answer depends
            on the padding behind a text.
        DataError: a tokenizer without a padding token.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(
            f"no file '{path}'",
            expected="the tokenizer in the format of the tokenizers library",
            fix="save it with AutoTokenizer.from_pretrained(..., use_fast=True).save_pretrained(folder)",
        )
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise missing_extra("a text model", "networks", error) from error
    try:
        largest = max(Tokenizer.from_file(str(path)).get_vocab().values(), default=-1)
    except Exception as error:
        raise ModelError(f"'{path}' is not a readable tokenizer: {first_line(error)}") from error
    if largest >= model.config.vocab_size:
        raise ModelError(
            f"'{path}' gives token {largest} and the model has only {model.config.vocab_size}",
            expected="the tokenizer that the model was trained with",
        )
    # transformers writes 1e30 for "no limit".
    limits = (_positions(model), settings.get("model_max_length"))
    found = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < 10**9]
    feed = TextFeed(_names(model), path, open_tokenizer(folder).pad, min(found, default=None))
    _check_padding(folder, model, feed)
    return feed


def _names(model: Any) -> tuple[str, ...]:
    """Inputs that the model takes of one text: token types only where it tells them apart."""
    takes = inspect.signature(model.forward).parameters
    several = (getattr(model.config, "type_vocab_size", None) or 0) > 1
    return tuple(name for name in INPUTS if name in takes and (name != "token_type_ids" or several))


def _positions(model: Any) -> int | None:
    """The most tokens that the model has positions for. RoBERTa's kin leave out those up to the padding's."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings"):
            skipped = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - skipped
    return getattr(model.config, "max_position_embeddings", None)


def _check_padding(folder: Path, model: Any, feed: TextFeed) -> None:
    """Every text is padded behind its end to one length; refuse a model that then decides otherwise.

    Such are models that read the last token, as XLNet does, or have no attention mask.
    """
    for text in feed.texts(3):
        alone = feed.cut([text], None)
        tokens = alone[feed.names[0]].shape[1]
        if tokens == 0:
            continue
        longest = tokens + BEHIND if feed.length is None else min(tokens + BEHIND, feed.length)
        expected, found = (logits_of(model, inputs) for inputs in (alone, feed.cut([text], longest)))
        if not np.abs(found - expected).max() <= PADDING_TOLERANCE * np.abs(expected).max():
            raise ModelError(
                f"{type(model).__name__} in '{folder}' gives different logits when padding follows the text",
                expected="a model that gives the same decision with padding after the text, where its attention "
                "mask is 0",
                fix="use a classifier that does not read the last token, such as BERT, RoBERTa or DeBERTa",
            )
