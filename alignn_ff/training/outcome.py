"""How a finished training of a potential is reported: tables of errors, parity plots, one page with all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from alignn_ff.checkpoint import Checkpoint, load_checkpoint
from alignn_ff.data.dataset import Budget, Dataset
from alignn_ff.models import Potential
from alignn_ff.models.reference_energies import ReferenceEnergies
from alignn_ff.reports.html import beside, heading, paragraph, picture, table, write_page
from alignn_ff.training import page
from alignn_ff.training.label_tables import PARTS, force_table, write_energies
from alignn_ff.training.metrics import Errors, Predicted, collect, predict
from alignn_ff.training.prepare import Prepared
from alignn_ff.training.record import Record
from alignn_ff.training.replay import PREFIX
from alignn_ff.training.report import table as error_table
from alignn_ff.training.report import write_report
from alignn_ff.training.structure_errors import StructureError, means, structure_errors, worst, write_structure_errors

WORST_BY = {
    "energy_error_mev_per_atom": "energy",
    "force_max_mev_per_a": "force on an atom, one component",
    "stress_mae_gpa": "stress",
}
"""Quantity by which structures are called the worst, and what the page calls it."""

WORST_HEADER = (
    *("Structure", "Group", "Formula", "Energy (eV/atom)", "Error (meV/atom)", "Force RMSE (meV/Å)", "Largest (meV/Å)"),
    "Stress MAE (GPa)",
)

PARITY_CAPTIONS = {
    "energy": "Energy per atom, by the elements of a structure.",
    "forces": "Force components, by the element of the atom.",
    "stress": "Stress components, by the elements of a structure.",
    "atomwise": "Other values of atoms, by the element of the atom.",
    "additional": "Additional values, by the elements of a structure.",
}


class Part(NamedTuple):
    """One part of the data beside what the best model says of it; no `errors` of the training part."""

    name: str
    structures: Sequence[StructureError]
    errors: Errors | None


def write_reports(record: Record, data: Prepared, budget: Budget, device: torch.device) -> None:
    """Errors of the best model of a run: tables and parity plots of validation and test data, and `report.html`."""
    best = load_checkpoint(record.folder / "best_model.safetensors")
    best.potential.to(device)
    parts = []
    for name, dataset in (("training", data.train), ("validation", data.val), ("test", data.test)):
        if len(dataset):
            forces = record.folder / f"forces.{PARTS[name]}.0"
            with force_table(forces, wanted=record.config.save_forces) as note:
                part = _seen(name, dataset, predict(best.potential, dataset, budget, device), note)
            write_structure_errors(part.structures, record.folder / f"{name}_structures.csv")
            if record.config.save_energies:
                path = record.folder / f"energies.{PARTS[name]}.0"
                write_energies(part.structures, best.potential.elements, path)
            if part.errors is not None:
                write_report(part.errors, record.folder, name)
            parts += [own for own in _apart(part) if own.structures]
    _write_page(record, best, parts, device)


def _apart(part: Part) -> list[Part]:
    """The part itself; of the training part, what is new and what is learned again."""
    old = [error for error in part.structures if error.key.startswith(PREFIX)]
    new = [error for error in part.structures if not error.key.startswith(PREFIX)]
    return [part._replace(structures=new), Part("replay", old, None)]


def _seen(name: str, data: Dataset, batches: Iterator[Predicted], note: Callable[[Predicted, Dataset], None]) -> Part:
    """What is kept of the predictions, batch by batch; of the training part, which may be large, no single numbers."""
    structures: list[StructureError] = []

    def watched() -> Iterator[Predicted]:
        for seen in batches:
            structures.extend(structure_errors(seen, data))
            note(seen, data)
            yield seen

    if name != "training":
        return Part(name, structures, collect(watched(), data))
    for _ in watched():
        pass
    return Part(name, structures, None)


def _write_page(record: Record, best: Checkpoint, parts: Sequence[Part], device: torch.device) -> None:
    training = parts[0].structures
    sections = [
        *_summary(record, best, parts),
        *page.curves(record.rows),
        *(section for part in parts for section in _worst(part)),
        *(section for part in parts for section in _errors(record.folder, part)),
        *_data(best, parts),
        *_references(best.potential),
        *page.timing(record.rows, len(training), sum(error.atoms for error in training)),
        *page.settings(record.config),
        *page.versions(str(device)),
    ]
    write_page(record.folder / "report.html", f"Training of {record.config.model['name']}", sections)


def _summary(record: Record, best: Checkpoint, parts: Sequence[Part]) -> list[str]:
    epoch = best.facts["training"]["epoch"]
    learned = sum(weight.numel() for weight in best.potential.parameters())
    header = (
        "",
        "Structures",
        "Energy MAE",
        "RMSE (meV/atom)",
        "Force MAE",
        "RMSE (meV/Å)",
        "Stress MAE",
        "RMSE (GPa)",
    )
    rows = [
        (part.name, str(len(part.structures)), *map(page.number, means(part.structures).values())) for part in parts
    ]
    about = (
        f"best_model.safetensors, of epoch {epoch} of {record.config.epochs}, {learned} weights, SHA-256 {best.sha256}."
        if record.rows
        else f"best_model.safetensors is the mean of {record.config.committee_size} members, SHA-256 {best.sha256}. "
        "Each has a report of its own in its folder."
    )
    return [paragraph(about), table(header, rows)]


def _worst(part: Part) -> list[str]:
    """The structures a person should look at first: their labels may be wrong, or they are unlike all others."""
    found = []
    for quantity, name in WORST_BY.items():
        rows = [
            (
                *(e.key, e.group, e.formula, page.number(e.energy_ev_per_atom, 6)),
                *map(page.number, (e.energy_error_mev_per_atom, e.force_rmse_mev_per_a, e.force_max_mev_per_a)),
                page.number(e.stress_mae_gpa),
            )
            for e in worst(part.structures, quantity, page.WORST)
        ]
        if rows:
            found += [paragraph(f"Largest errors of the {name}:"), table(WORST_HEADER, rows)]
    return [heading(f"Worst structures, {part.name}"), *found]


def _errors(folder: Path, part: Part) -> list[str]:
    name, _, errors = part
    if errors is None:
        return []
    rows = [
        (
            *(row["quantity"], row["by"], row["of"], page.number(row["mae"]), page.number(row["rmse"]), row["unit"]),
            *(page.number(row["r2"], 4), str(row["count"])),
        )
        for row in error_table(errors)
        if row["count"]
    ]
    pictures = [
        picture((folder / f"{name}_parity_{field}_by_element.png").read_bytes(), caption)
        for field, caption in PARITY_CAPTIONS.items()
        if len(getattr(errors, field))
    ]
    header = ("Quantity", "By", "Of", "MAE", "RMSE", "Unit", "R²", "Values")
    return [heading(f"Errors, {name}"), table(header, rows), beside(pictures)]


def _data(best: Checkpoint, parts: Sequence[Part]) -> list[str]:
    """How the data were split, what they are labelled with, and which files they came from."""
    rows = []
    for name, structures, _ in parts:
        atoms = sum(e.atoms for e in structures)
        labelled = (
            sum(e.energy_error_mev_per_atom == e.energy_error_mev_per_atom for e in structures),
            sum(e.force_components > 0 for e in structures),
            sum(e.stress_mae_gpa == e.stress_mae_gpa for e in structures),
        )
        groups = len({e.group for e in structures})
        rows.append((name, str(len(structures)), str(atoms), *map(str, labelled), str(groups)))
    header = ("Part", "Structures", "Atoms", "with energy", "with forces", "with stress", "Groups")
    files = table(("File", "SHA-256"), list(best.facts["data"]["files"].items()))
    removed = best.facts.get("removed")
    said = [paragraph("Left out: " + ", ".join(f"{n} by {bound}" for bound, n in removed.items()))] if removed else []
    kept = paragraph("ids_train_val_test.json holds the split; *_structures.csv the errors of every structure.")
    return [heading("Data"), table(header, rows), *said, files, kept]


def _references(potential: Potential) -> list[str]:
    terms = [module for module in potential.modules() if isinstance(module, ReferenceEnergies)]
    if not terms:
        return []
    rows = [(e, f"{value:.6f}") for e, value in zip(terms[0].elements, terms[0].energies, strict=True)]
    return [heading("Reference energies"), table(("Element", "eV/atom"), rows)]
