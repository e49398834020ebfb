"""How long and how often a download is tried."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Limits of a download.

    Attributes:
        timeout_s: seconds without a byte, while connecting or receiving, after which an address is given up.
        attempts: rounds over all addresses.
        backoff_s: seconds of rest after the first round; they double with every further one.
    """

    timeout_s: float = 20.0
    attempts: int = 4
    backoff_s: float = 1.0

    def rest(self, rounds: int) -> None:
        """Wait as long as it becomes after so many rounds; not at all before the first."""
        if rounds:
            time.sleep(self.backoff_s * 2 ** (rounds - 1))
