"""A device that this machine has not: its tensors compute, and like a GPU's they refuse to meet tensors of the CPU."""

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from edgefair.training.engine import Engine

# A device that torch knows everywhere and that has no memory: whatever stays on it by mistake has no numbers.
OTHER = torch.device("meta")
HERE = torch.device("cpu")
DIFFERENT = f"Expected all tensors to be on the same device, but found at least two devices, {OTHER} and cpu!"


class Elsewhere(torch.Tensor):
    """A tensor on the other device; its numbers are held by one of the CPU."""

    @staticmethod
    def __new__(cls, held):
        found = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=OTHER
        )
        found.held = held
        return found

    def __tensor_flatten__(self):
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner, meta, size, stride):
        return Elsewhere(inner["held"])

    def tolist(self):
        return self.held.tolist()

    def new_tensor(self, numbers):
        return torch.tensor(numbers, dtype=self.dtype).to(OTHER)

    @classmethod
    def __torch_dispatch__(cls, operator, types, args=(), kwargs=None):
        return computed(operator, args, kwargs or {})


class Moving(TorchDispatchMode):
    """Tensors of the CPU that go to the other device, and what is made there."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        return computed(operator, args, kwargs or {})


MOVES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


def computed(operator, args, kwargs):
    """What an operator gives on the CPU, on the device where it would be.

    Raises:
        RuntimeError: torch's, of tensors on two devices. A CPU's number without a dimension may meet any.
    """
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    there = [x for x in tensors if isinstance(x, Elsewhere)]
    assert not any(x.is_meta and not isinstance(x, Elsewhere) for x in tensors), "moved past the pretence"
    if there and operator not in MOVES and not _may_meet(operator, tensors):
        raise RuntimeError(f"{DIFFERENT} ({operator})")
    asked = kwargs.get("device")
    goes = bool(there) if asked is None else torch.device(asked) == OTHER
    if asked is not None:
        kwargs = {**kwargs, "device": HERE}
    found = operator(*tree_map(_held, args), **tree_map(_held, kwargs))
    first = args[0] if args else None
    if operator._schema.name.endswith("_") or operator is torch.ops.aten.copy_.default:
        return first
    if "out" in kwargs:
        return kwargs["out"]
    return tree_map(lambda x: Elsewhere(x) if isinstance(x, torch.Tensor) else x, found) if goes else found


def _may_meet(operator, tensors):
    here = [x for x in tensors if not isinstance(x, Elsewhere)]
    if operator in INDEXED:
        # The indices of a tensor on a GPU may be the CPU's.
        return isinstance(tensors[0], Elsewhere)
    return all(x.dim() == 0 for x in here)


INDEXED = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default}


def _held(x):
    return x.held if isinstance(x, Elsewhere) else x


class OtherEngine(Engine):
    """Steps run on the other device."""

    def __init__(self):
        super().__init__("cpu")
        self.device = OTHER


def _swapped(one, other):
    """torch.utils.swap_tensors, also where a graph that broke off still holds one, as a GPU's `param.data = ...`."""
    one.__class__, other.__class__ = other.__class__, one.__class__
    one.__dict__, other.__dict__ = other.__dict__, one.__dict__
    torch._C._swap_tensor_impl(one, other)


@contextmanager
def other_device():
    """Tensors can be moved to the other device. Modules keep their parameters' identity, as with a GPU."""
    before = torch.utils.swap_tensors, torch.autocast
    torch.utils.swap_tensors = _swapped
    # It takes only devices that it knows.
    torch.autocast = lambda device, *more, **how: before[1](device.replace(OTHER.type, HERE.type), *more, **how)
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with Moving():
            yield OTHER
    finally:
        torch.utils.swap_tensors, torch.autocast = before
        torch.__future__.set_swap_module_params_on_conversion(False)
