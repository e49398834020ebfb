"""A file that `universal` learns from: `assemble.py --held-out H.extxyz --output O.extxyz [--tag T] FRAMES.extxyz ...`.

Frames of compounds that are held out are dropped; of frames with equal energies and equal positions one is kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from ase import Atoms
from ase.formula import Formula
from ase.io import read, write

from alignn_ff.checkpoint import file_sha256


def compound(atoms: Atoms) -> str:
    return Formula(atoms.get_chemical_formula()).reduce()[0].format("hill")


def kept(frames: Iterable[Atoms], held_out: set[str]) -> list[Atoms]:
    """Those of other compounds, each once; elements are no compounds."""
    first: dict[tuple[float, bytes], Atoms] = {}
    for frame in frames:
        if len(set(frame.symbols)) == 1 or compound(frame) not in held_out:
            first.setdefault((frame.get_potential_energy(), frame.positions.tobytes()), frame)
    return list(first.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--tag", help="of all frames, instead of their own")
    parser.add_argument("frames", nargs="+")
    options = parser.parse_args()
    held_out = {compound(atoms) for atoms in read(options.held_out, index=":")}
    frames = [frame for source in options.frames for frame in read(source, index=":")]
    chosen = kept(frames, held_out)
    if options.tag:
        for frame in chosen:
            frame.info["tag"] = options.tag
    write(options.output, chosen)
    atoms = sum(map(len, chosen))
    print(len(chosen), "of", len(frames), "frames,", atoms, "atoms; SHA-256", file_sha256(options.output))
