"""A file that `universal` learns from: `assemble.py --held-out H.extxyz --output O.extxyz FRAMES.extxyz ...`.

Frames of compounds that are held out are dropped; of frames with equal energies and equal positions one is kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.formula import Formula
from ase.io import read, write

from alignn_ff import AlignnFFCalculator
from alignn_ff.checkpoint import file_sha256
from alignn_ff.distill.pairs import near_pairs

NEAREST_A = 0.35
CLOSE = ("close", "collision")
EXTREME = ("molecule", "disordered", "slab", *CLOSE)


def compound(atoms: Atoms) -> str:
    return Formula(atoms.get_chemical_formula()).reduce()[0].format("hill")


def kept(frames: Iterable[Atoms], held_out: set[str]) -> list[Atoms]:
    """Those of other compounds, each once; elements are no compounds."""
    first: dict[tuple[float, bytes], Atoms] = {}
    for frame in frames:
        if len(set(frame.symbols)) == 1 or compound(frame) not in held_out:
            first.setdefault((frame.get_potential_energy(), frame.positions.tobytes()), frame)
    return list(first.values())


def hopeful(frames: Sequence[Atoms], model: str) -> list[Atoms]:
    """Those of which `model` is not off by more than any weights could mend: atoms at the foot of a wall, most of them.

    Only frames with large forces or stresses and of kinds that run to extremes are looked at.
    """
    far_apart = [frame for frame in frames if _nearest(frame) > NEAREST_A]
    suspects = [place for place, frame in enumerate(far_apart) if _is_suspect(frame)]
    found = AlignnFFCalculator(model, domain_check=False).evaluate([far_apart[place].copy() for place in suspects])
    hopeless = {place for place, results in zip(suspects, found, strict=True) if _is_off(far_apart[place], results)}
    return [frame for place, frame in enumerate(far_apart) if place not in hopeless]


def _nearest(frame: Atoms) -> float:
    return float(near_pairs(frame, 2.0 * NEAREST_A)[2].min(initial=np.inf))


def _is_suspect(frame: Atoms) -> bool:
    stress = frame.calc.results.get("stress", np.zeros(6))
    return frame.info["tag"] in EXTREME or np.abs(frame.get_forces()).max() > 6.0 or np.abs(stress).max() > 0.35


def _is_off(frame: Atoms, results: dict[str, Any]) -> bool:
    energy_ev, force_ev_a = (3.0, 15.0) if frame.info["tag"] in CLOSE else (2.0, 6.0)
    off = abs(results["energy"] - frame.get_potential_energy()) / len(frame)
    return bool(off > energy_ev or np.abs(results["forces"] - frame.get_forces()).max() > force_ev_a)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--tag", help="of all frames, instead of their own")
    parser.add_argument("frames", nargs="+")
    parser.add_argument("--drop", nargs="*", default=[], help="sources, as in `info`, whose labels are not trusted")
    parser.add_argument("--judge", help="model that tells which frames are hopeless; they are dropped")
    options = parser.parse_args()
    held_out = {compound(atoms) for atoms in read(options.held_out, index=":")}
    frames = [frame for source in options.frames for frame in read(source, index=":")]
    chosen = kept((frame for frame in frames if frame.info["source"] not in options.drop), held_out)
    if options.tag:
        for frame in chosen:
            frame.info["tag"] = options.tag
    if options.judge:
        chosen = hopeful(chosen, options.judge)
    write(options.output, chosen)
    atoms = sum(map(len, chosen))
    print(len(chosen), "of", len(frames), "frames,", atoms, "atoms; SHA-256", file_sha256(options.output))
