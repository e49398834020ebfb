"""The weighted mean of two models of one form: `average.py FIRST SECOND SHARE_OF_SECOND OUTPUT [SCORES.json]`.

Between weights that a short training took apart, the mean keeps most of what both know (Wortsman et al., Robust
fine-tuning of zero-shot models, CVPR 2022). Facts are those of FIRST; SCORES, of `benchmarks.teacher_student` on a
mean made without them, become its metrics.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from alignn_ff.checkpoint import file_sha256

KEY = "alignn_ff"
METRICS = {"energy": "energy_mae_mev_per_atom", "forces": "force_mae_mev_per_a", "stress": "stress_mae_gpa"}

if __name__ == "__main__":
    first, second, share, output, *scores = sys.argv[1:]
    shares = {first: 1.0 - float(share), second: float(share)}
    header = json.loads(safe_open(first, "pt").metadata()[KEY])
    weights = {model: load_file(model) for model in shares}
    tensors = {}
    for name, tensor in weights[first].items():
        parts = [share * weights[model][name].double() for model, share in shares.items()]
        tensors[name] = sum(parts).to(tensor.dtype)
    facts = header["facts"]
    facts["averaged"] = {Path(m).name: {"share": s, "sha256": file_sha256(Path(m))} for m, s in shares.items()}
    del facts["metrics"]
    if scores:
        rows = json.loads(Path(scores[0]).read_text())["students"][0]["rows"]
        facts["metrics"] = {METRICS[row["quantity"]]: row["mae"] for row in rows if row["by"] == "all"}
    save_file(tensors, output, metadata={KEY: json.dumps(header)})
