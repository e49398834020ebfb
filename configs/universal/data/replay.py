"""Some frames of a file, drawn at random: `replay.py FRAMES.extxyz COUNT OUTPUT.extxyz`."""

from __future__ import annotations

import random
import sys
from pathlib import Path


def frames(path: Path) -> list[str]:
    """The frames as they stand, a text each."""
    lines = path.read_text().splitlines(keepends=True)
    found, start = [], 0
    while start < len(lines):
        end = start + 2 + int(lines[start])
        found.append("".join(lines[start:end]))
        start = end
    return found


if __name__ == "__main__":
    source, count, output = sys.argv[1:]
    Path(output).write_text("".join(random.Random(22).sample(frames(Path(source)), int(count))))
