"""Columns as they are before anybody has said what they are: kinds, suspects, values that a model has never seen."""
