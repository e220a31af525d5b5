"""pipeline.skops, fitted on people.csv: run by a clean environment."""

import csv
from pathlib import Path

import numpy as np
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

with Path("people.csv").open(newline="") as stream:
    people = list(csv.DictReader(stream))
features = np.array([[float(row["hours"]), float(row["years"])] for row in people], np.float32)
pipeline = make_pipeline(StandardScaler(), LogisticRegression())
skops.io.dump(pipeline.fit(features, [row["hired"] for row in people]), "pipeline.skops")
