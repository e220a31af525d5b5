"""What must leave a network together."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgefair.compress.steps.pruning.cut import Cut, heads_of, without
from edgefair.compress.steps.pruning.recurrent import stand_in
from edgefair.errors import EdgefairError, ModelError, missing_extra

# What tracing and running a network of any kind may raise.
_FAILURES = (RuntimeError, ValueError, KeyError, AttributeError, TypeError, IndexError, AssertionError, EdgefairError)
TRIAL_ROWS = 2
ONE_LAYER = "it has one layer"


@dataclass(frozen=True, eq=False)
class Member:
    """What one layer loses with the atoms of a unit.

    Attributes:
        path: of the module, or of a bare parameter.
        side: `out` or `in`; of a bare parameter: its dimension.
        index: channels of this layer, int64 [n].
        atom: the atom that each of them leaves with, int64 [n].
    """

    path: str
    side: str
    index: Tensor
    atom: Tensor


@dataclass(frozen=True, eq=False)
class Unit:
    """Channels of coupled layers, in atoms that leave as a whole: a channel, one channel of every group, or a head.

    Attributes:
        name: path of the layer whose outputs they are.
        atoms: how many.
        width: channels of each.
        heads: whether an atom is an attention head.
    """

    name: str
    atoms: int
    width: int
    heads: bool
    members: tuple[Member, ...]

    @property
    def counted(self) -> int:
        """What an atom counts for in a report: one head, or its channels."""
        return 1 if self.heads else self.width

    def removal(self, atoms: Iterable[int]) -> Cut:
        """What `cut` must be told for these atoms to leave."""
        leaves = torch.zeros(self.atoms, dtype=torch.bool)
        leaves[list(atoms)] = True
        found: Cut = {}
        for member in self.members:
            indices = member.index[leaves[member.atom]].sort().values.tolist()
            if indices:
                found.setdefault(member.path, {}).setdefault(member.side, []).extend(indices)
        return found


def removal(units: Iterable[Unit], leaving: Iterable[Tensor]) -> Cut:
    """What `cut` must be told for these atoms of each unit (int64 [n]) to leave."""
    found: Cut = {}
    for unit, atoms in zip(units, leaving, strict=True):
        for path, sides in unit.removal(atoms.tolist()).items():
            for side, indices in sides.items():
                found.setdefault(path, {}).setdefault(side, []).extend(indices)
    return {path: {side: sorted(i) for side, i in sides.items()} for path, sides in found.items()}


def find_units(network: nn.Module, example: Tensor) -> tuple[list[Unit], list[str]]:
    """The units of a network, and the names of layers that must stay whole. The network is not changed.

    Channels that depend on each other (residual sums, depthwise and grouped convolutions, attention heads) leave
    together (Fang et al., "DepGraph: towards any structural pruning", CVPR 2023, through torch-pruning's tracing). All
    are tried: an atom is removed from a copy, which must still give logits. Where it does not, as before a view with a
    fixed number of channels, and in the layer that gives the logits, the unit stays whole; so does what a recurrent
    layer reads, and what only some groups of a grouped convolution would lose.

    Args:
        example: one row of features [1, ...].

    Raises:
        UsageError: torch-pruning is not installed.
        ModelError: no forward that can be traced, no logits [rows, classes], or nothing that can leave.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch_pruning
    except ImportError as error:
        raise missing_extra("pruning", "torch", error) from error
    traced = copy.deepcopy(network).eval().requires_grad_(True)
    recurrent = stand_in(traced)
    try:
        logits = traced(example.repeat(TRIAL_ROWS, *[1] * (example.dim() - 1)))
        if logits.dim() != 2 or len(logits) != TRIAL_ROWS:
            raise ModelError(
                f"{TRIAL_ROWS} rows give an output of shape {tuple(logits.shape)}",
                expected="logits [rows, classes]",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = torch_pruning.DependencyGraph().build_dependency(traced, example_inputs=example, verbose=False)
            traced_units = list(_units(traced, graph))
    except EdgefairError:
        raise
    except _FAILURES as error:
        raise ModelError(
            f"the network cannot be pruned: {type(error).__name__}: {str(error).splitlines()[0]}",
            expected="a forward that torch can trace from features to logits, its layers torch.nn modules",
        ) from error
    units = [unit for unit in traced_units if not recurrent & {member.path for member in unit.members}]
    layers = dict(network.named_modules())
    apart = [unit for unit in units if _splits_groups(layers, unit)]
    trial = copy.deepcopy(network).eval()
    found, broken = _tried(trial, example, [unit for unit in units if unit not in apart], logits.shape)
    kept = [unit.name for unit in traced_units if unit not in units and unit.name not in recurrent]
    whole = [*kept, *(unit.name for unit in apart), *broken]
    if not found:
        raise ModelError(
            "the network cannot be pruned: "
            + (f"{', '.join(whole[:5])} must keep all channels, as other parts depend on them" if whole else ONE_LAYER),
            expected="layers before the last one whose channels can be removed: nothing after them that is "
            "recurrent or grouped, splits them into equal parts, or has a fixed number of channels",
            fix="compress by low_rank or int8; or, where a view spells out a number of channels, write -1 or flatten()",
        )
    return found, whole


def _splits_groups(layers: Mapping[str, Any], unit: Unit) -> bool:
    """Whether an atom would leave some groups of a grouped convolution among the layers (by path) and not others."""
    for member in unit.members:
        layer = layers.get(member.path)
        groups = 1 if not isinstance(layer, nn.Conv2d | nn.Conv1d | nn.Conv3d) else _groups(layer)
        if groups == 1:
            continue
        part = (layer.out_channels if member.side == "out" else layer.in_channels) // groups  # type: ignore[union-attr]
        places = torch.zeros(unit.atoms, part, dtype=torch.int64)
        places.index_put_((member.atom, member.index % part), torch.tensor(1), accumulate=True)
        if not bool(((places == 0) | (places == groups)).all()):
            return True
    return False


def _tried(network: nn.Module, example: Tensor, units: list[Unit], shape: torch.Size) -> tuple[list[Unit], list[str]]:
    """Units that can lose an atom, and names of those behind which the forward breaks. That of the logits is neither.

    All are tried together, and where that fails each half by itself.
    """
    left = _shape_without(network, example, removal(units, [torch.tensor([0])] * len(units)))
    if left == shape:
        return units, []
    if len(units) == 1:
        return [], [units[0].name] if left is None or left[:1] != shape[:1] else []
    middle = len(units) // 2
    parts = [_tried(network, example, half, shape) for half in (units[:middle], units[middle:]) if half]
    return [unit for good, _ in parts for unit in good], [name for _, bad in parts for name in bad]


def _shape_without(network: nn.Module, example: Tensor, removed: Cut) -> torch.Size | None:
    """Shape of the logits without some channels; None where the forward breaks."""
    try:
        with without(network, removed), torch.no_grad():
            logits: Tensor = network(example.repeat(TRIAL_ROWS, *[1] * (example.dim() - 1)))
    except _FAILURES:
        return None
    return logits.shape if bool(torch.isfinite(logits).all()) else None


def _units(network: nn.Module, graph: Any) -> Iterable[Unit]:
    from torch_pruning.ops import OPTYPE, TORCH_CONV, TORCH_LINEAR
    from torch_pruning.pruner.function import PrunerBox

    sizes = _head_sizes(network)
    for group in graph.get_all_groups(root_module_types=(TORCH_CONV, TORCH_LINEAR)):
        channels = len(group[0].idxs)
        named: list[tuple[str, Any, str, list[int], list[int]]] = []
        for item in group.items:
            node, roots = item.dep.target, item.root_idxs
            if node.type not in PrunerBox:
                continue
            if any(root is None for root in roots):
                break
            if node.type == OPTYPE.PARAMETER:
                path, side = graph._param_to_name[node.module], str(node.pruning_dim % node.module.dim())
            else:
                out = graph.is_out_channel_pruning_fn(item.dep.handler)
                path, side = graph._module2name[node.module], "out" if out else "in"
            named.append((path, node.module, side, list(item.idxs), list(roots)))
        else:
            atom_of, heads = _atoms(channels, named, sizes)
            if atom_of is None:
                continue
            yield Unit(
                name=named[0][0],
                atoms=int(atom_of.max()) + 1,
                width=channels // (int(atom_of.max()) + 1),
                heads=heads,
                members=tuple(
                    Member(path, side, torch.tensor(index), atom_of[torch.tensor(roots)])
                    for path, _, side, index, roots in named
                ),
            )


def _atoms(
    channels: int, named: Iterable[tuple[str, Any, str, list[int], list[int]]], sizes: Mapping[str, int]
) -> tuple[Tensor | None, bool]:
    """The atom of every root channel, int64 [channels], and whether atoms are heads; None where there is one atom."""
    of_head = {sizes[path] for path, _, side, *_ in named if side == "out" and path in sizes}
    groups = max((_groups(layer) for _, layer, *_ in named), default=1)
    every = torch.arange(channels)
    if of_head:
        atom_of, heads = every // max(of_head), True
    else:
        atom_of, heads = every % (channels // groups if channels % groups == 0 else 1), False
    return (atom_of if int(atom_of.max()) > 0 else None), heads


def _groups(layer: Any) -> int:
    """In how many parts a layer's channels must lose the same ones."""
    if isinstance(layer, nn.GroupNorm):
        return layer.num_groups
    if isinstance(layer, nn.MultiheadAttention):
        return int(layer.num_heads)
    groups = getattr(layer, "groups", 1)
    return 1 if groups == getattr(layer, "out_channels", 1) else int(groups)


def _head_sizes(network: nn.Module) -> dict[str, int]:
    """Channels of one head, by the path of each layer that makes queries, keys or values."""
    return {
        f"{path}.{part}": found.size
        for path, module in network.named_modules()
        if (found := heads_of(module)) is not None
        for part in found.layers
    }
