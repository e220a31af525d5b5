"""How often labels and groups are recorded wrongly: declared, or found by a check of some rows."""

from __future__ import annotations

from edgefair.decision.error_rates.declared import RATE_FORMS, ErrorRates

__all__ = ["RATE_FORMS", "ErrorRates"]
