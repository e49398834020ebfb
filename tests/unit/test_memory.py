"""Memory that is kept costs no page faults when the next step asks for it again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource
from ase.build import bulk
from alignn_ff import AlignnFFCalculator
from alignn_ff.memory import keep_freed_memory
atoms = bulk("Si", cubic=True) * (4, 4, 4)
atoms.calc = AlignnFFCalculator("mlearn-six")
print(keep_freed_memory())
for step in range(8):
    if step == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    atoms.rattle(0.01, seed=step)
    atoms.get_forces()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> tuple[str, int]:
    """What `keep_freed_memory` said, and the page faults of four evaluations of 512 atoms."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    run = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, env=own | environment
    )
    said, count = run.stdout.split()
    return said, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sets glibc alone")
def test_a_step_of_md_asks_for_no_new_memory_and_what_the_user_set_stays():
    said, kept = faults()
    if said == "False":
        pytest.skip("the C library is not glibc")
    left_alone, anew = faults(MALLOC_ARENA_MAX="8")
    assert left_alone == "False"
    assert kept < 0.2 * anew + 100  # a kernel that hands out huge pages has few faults either way
