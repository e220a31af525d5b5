"""A tiny text classifier of transformers in hub/, texts that it never saw, their config: run by a clean environment."""

import csv
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

CONFIG = """\
project: hub
data:
  {source: texts.csv, label: label, positive: "yes", sensitive: [sex], text: text, tokenizer: hub, equal_rows: people}
policy:
  max_eo_gap: 0.9
  min_balanced_accuracy: 0.1
  max_accuracy_drop: 0.5
  attributes: {sex: {groups: [F, M]}}
"""
WORDS = ["the", "a", "good", "bad", "cat", "dog", "sat", "there", "very", "you", "they", "nice", "awful"]

random.seed(0)
torch.manual_seed(0)
vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained("hub")

sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
config = BertConfig(
    vocab_size=len(vocabulary),
    max_position_embeddings=24,
    id2label={0: "no", 1: "yes"},
    label2id={"no": 0, "yes": 1},
    **sizes,
)
model = BertForSequenceClassification(config).eval()
with torch.no_grad():
    logits = model(input_ids=torch.randint(2, len(vocabulary), (200, 24))).logits
    model.classifier.weight *= 1 / (logits[:, 1] - logits[:, 0]).std()
    logits = model(input_ids=torch.randint(2, len(vocabulary), (200, 24))).logits
    model.classifier.bias -= (logits - logits.mean(dim=1, keepdim=True)).median(dim=0).values
model.save_pretrained("hub")

with Path("texts.csv").open("w", newline="") as stream:
    rows = csv.writer(stream)
    rows.writerow(["text", "label", "sex"])
    for row in range(600):
        rows.writerow(
            [" ".join(random.choices(WORDS, k=random.randint(3, 20))), ["no", "yes"][row % 2], "FM"[row // 2 % 2]]
        )
Path("hub.yaml").write_text(CONFIG)
