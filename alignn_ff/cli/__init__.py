"""The command line, `alignn-ff`. The only place that prints."""

from __future__ import annotations
