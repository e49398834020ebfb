"""Bars on standard error, or nothing at all."""

from __future__ import annotations

from alignn_ff.progress import track


def test_silence_where_nobody_looks(capsys):
    with track("work", 3, show=False) as advance:
        advance()
        advance(2, note="done")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_bar_goes_to_standard_error(capsys):
    with track("work", 4, done=1) as advance:
        advance(note="halfway")
        advance(2, note="the end")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "work" in captured.err and "4/4" in captured.err and "the end" in captured.err
