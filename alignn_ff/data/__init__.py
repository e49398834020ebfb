"""Labelled structures: reading, checking, splitting, batching."""
