"""Figures from plain arrays. The only package that knows matplotlib; import its modules on demand."""

from __future__ import annotations
