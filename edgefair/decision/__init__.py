"""Policy and evidence in, verdict out."""

from __future__ import annotations

from edgefair.decision.policy import AttributePolicy, Policy

__all__ = ["AttributePolicy", "Policy"]
