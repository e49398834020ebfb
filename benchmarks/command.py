"""What the benchmark commands share: naming contenders or one model, writing results, ending with a clear word."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from alignn_ff import AlignnFFCalculator
from alignn_ff.errors import AlignnFFError
from alignn_ff.files import prepare_folder, write_text
from benchmarks.contenders import CONTENDERS, TEACHER_VARIABLE, Setup, kind


def add_contenders(parser: argparse.ArgumentParser, default: Sequence[str]) -> None:
    """The options by which every benchmark names its contenders."""
    parser.add_argument(
        "--contender",
        nargs="+",
        default=list(default),
        metavar="NAME",
        help=f"of {', '.join(CONTENDERS)}; ours also with a model, as in ours:mlearn-six or ours:FILE "
        f"(default: {' '.join(default)})",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--teacher", metavar="FOLDER", help=f"the teacher's weights; default: ${TEACHER_VARIABLE}")


def setup_of(args: argparse.Namespace, dtype: str = "float32") -> Setup:
    """How the contenders of these options are built.

    Raises:
        ConfigError: one of them is unknown.
    """
    for contender in args.contender:
        kind(contender)
    return Setup(device=args.device, dtype=dtype, teacher=args.teacher)


def add_one_model(parser: argparse.ArgumentParser, rounds: int) -> None:
    """The options of a benchmark that compares ways to evaluate one model on the CPU."""
    parser.add_argument("--model", help="name or file (default: the embedded model)")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, help="of torch (default: all cores)")
    parser.add_argument("--out", help="JSON file to write")


def one_model(args: argparse.Namespace, dtype: str | None = None) -> tuple[AlignnFFCalculator, dict[str, Any]]:
    """The calculator that these options ask for, and what the results should say of it and of the machine."""
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    calculator = AlignnFFCalculator(args.model, device="cpu", dtype=dtype, domain_check=False)
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    name = calculator.provenance["model"]
    print(f"{name}, {threads} threads; load of the machine before: {load:.1f}", flush=True)
    return calculator, {"provenance": calculator.provenance, "threads": threads, "load": load}


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write results as JSON, whole or not at all; folders are made."""
    prepare_folder(Path(path).parent, reuse=True)
    write_text(path, json.dumps(content, indent=1, allow_nan=False))


def end_well(main: Callable[[], None]) -> None:
    """Run a command; what a user can mend ends it with one paragraph on standard error and a non-zero exit."""
    try:
        main()
    except (AlignnFFError, ModuleNotFoundError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
