"""The same operations through DGL, where it is installed: `ops.link` with another engine.

The wheel of DGL on PyPI computes on the CPU; elsewhere plain torch does the work.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor

from alignn_ff.models import ops

log = logging.getLogger(__name__)


class DglLinks(NamedTuple):
    """`ops.Links` on a DGL graph."""

    src: Tensor
    dst: Tensor
    envelope: Tensor | None
    graph: Any

    def meet(self, from_src: Tensor, from_dst: Tensor) -> Tensor:
        return library().ops.u_add_v(self.graph, from_src, from_dst)

    def heard(self, values: Tensor, weights: Tensor) -> Tensor:
        return library().ops.u_mul_e_sum(self.graph, values, weights)

    def total(self, weights: Tensor) -> Tensor:
        return library().ops.copy_e_sum(self.graph, weights)


def link(src: Tensor, dst: Tensor, nodes: int, envelope: Tensor | None) -> ops.Links:
    """Links as `ops.link` makes them, by DGL if it is installed and the tensors are on the CPU."""
    dgl = library()
    if dgl is None or src.device.type != "cpu":
        return ops.link(src, dst, nodes, envelope)
    return DglLinks(src, dst, envelope, dgl.graph((src, dst), num_nodes=nodes))


@cache
def library() -> Any:
    """The library, or None; what is missing is said once."""
    os.environ.setdefault("DGLBACKEND", "pytorch")  # else it writes its choice into the user's home, and prints
    try:
        import dgl
    except (ImportError, OSError) as error:  # OSError: its native library does not load
        log.info(
            "DGL cannot be imported (%s): alignn_atomwise computes the same numbers in plain torch. To have DGL do it, "
            "on Python 3.11 or older: pip install alignn-ff[dgl]",
            error,
        )
        return None
    return dgl
