"""texts.csv, and tok/ with a tokenizer for it, made with tokenizers alone: run by a clean environment."""

import csv
import random
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = ["the", "a", "good", "bad", "cat", "dog", "sat", "there", "very", "you", "they", "nice", "awful"]

random.seed(0)
tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(["[PAD]", "[UNK]", *WORDS])}, "[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
Path("tok").mkdir()
tokenizer.save("tok/tokenizer.json")
with Path("texts.csv").open("w", newline="") as stream:
    rows = csv.writer(stream)
    rows.writerow(["text", "label", "sex"])
    for row in range(600):
        words = random.choices(WORDS, k=random.randint(12, 20))
        rows.writerow([" ".join(words), ["no", "yes"][row % 2], "FM"[row // 2 % 2]])
