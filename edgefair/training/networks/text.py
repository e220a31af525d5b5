"""A small transformer for texts (Vaswani et al., NeurIPS 2017; as BERT, Devlin et al., NAACL 2019)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from edgefair.errors import UsageError
from edgefair.training.networks.hugging_face import made, transformers


def text_transformer(
    *,
    features: tuple[int, ...],
    classes: int,
    vocabulary: int,
    pad: int,
    width: int = 128,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.1,
    weights: str | None = None,
) -> nn.Module:
    """Token ids [rows, length] -> logits [rows, classes]; padding is not attended to.

    Args:
        vocabulary: number of ids. With the data's tokenizer it is filled in.
        pad: the id of padding. With the data's tokenizer it is filled in.
        width: channels of a token; a multiple of `heads`.
        weights: folder of a BERT saved by save_pretrained.

    More than eight parameters: they are the keys of `model.options`, and what the data says.

    Raises:
        UsageError: rows that are no tokens, more tokens or ids than the weights know.
    """
    package = transformers()
    if len(features) != 1:
        raise UsageError(
            f"network 'text-transformer' takes tokens [length], and a row of this data has shape {features}",
            fix="set data.text and data.tokenizer",
        )
    if width % heads:
        raise UsageError(f"a width of {width} cannot be split among {heads} heads")
    config = package.BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=features[0],
        pad_token_id=pad,
        num_labels=classes,
        attn_implementation="eager",
    )
    model = made(package.BertForSequenceClassification, config, weights=weights, classes=classes)
    if model.config.max_position_embeddings < features[0]:
        raise UsageError(
            f"model.text_length is {features[0]}",
            expected=f"at most {model.config.max_position_embeddings} tokens, as '{weights}' has positions",
        )
    if model.config.vocab_size < vocabulary:
        raise UsageError(
            f"the tokenizer has {vocabulary} ids and '{weights}' knows {model.config.vocab_size}",
            expected="the tokenizer that the weights were trained with",
        )
    return Padded(model, pad)


class Padded(nn.Module):
    """A model of transformers that makes its attention mask of the ids."""

    def __init__(self, model: Any, pad: int) -> None:
        super().__init__()
        self.model = model
        self.pad = pad

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids [rows, length] -> logits [rows, classes]."""
        logits: Tensor = self.model(input_ids=ids, attention_mask=(ids != self.pad).long()).logits
        return logits
