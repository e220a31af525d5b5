"""What a model's file says of itself, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple


@dataclass(frozen=True)
class ModelFile:
    """metadata: the model's own. inputs (without those that have a default), outputs: name, type as onnxruntime calls
    it, and shape (None for a dynamic size; instead of the list where not even the number of sizes is said); `step`
    where an output is quantized: the distance between two numbers that it can hold. few_bits: what shows that it was
    quantized; None where nothing does, or where that is not looked for."""

    metadata: Dict[str, str]
    inputs: Tuple[Dict[str, Any], ...]
    outputs: Tuple[Dict[str, Any], ...]
    few_bits: Optional[str] = None
