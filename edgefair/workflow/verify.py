"""Measure a model file on its targets and judge it."""

from __future__ import annotations
