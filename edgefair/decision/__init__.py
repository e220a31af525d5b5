"""Policy and evidence in, verdict out.

Pure functions: no files, no clock, nothing printed. What an outcome claims is in docs/verdict.md; a change here changes
what ships.
"""

from __future__ import annotations

from edgefair.decision.policy import AttributePolicy, Policy

__all__ = ["AttributePolicy", "Policy"]
