"""Reference energies: exact in every precision, and recovered from data by least squares."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms

from alignn_ff.data.sources import Sample
from alignn_ff.errors import ConfigError
from alignn_ff.io import Targets, from_ase
from alignn_ff.models import Sum, build
from alignn_ff.testing import predict
from alignn_ff.training.references import compound_energies, force_scales, least_squares_energies
from tests.tolerances import CLOSE

ENERGIES = {"Cu": -3737.123456789012, "Ni": -5.5, "O": -4.25}


def sample(formula: str, energy: float | None = None, force: float = torch.nan) -> Sample:
    atoms = Atoms(formula)
    atoms.positions[:, 0] = range(len(atoms))
    total = sum(ENERGIES[s] for s in atoms.get_chemical_symbols()) if energy is None else energy
    targets = Targets(
        energy=torch.tensor([total], dtype=torch.float64),
        forces=torch.full((len(atoms), 3), force, dtype=torch.float64),
        stress=torch.full((1, 3, 3), torch.nan, dtype=torch.float64),
        atom_energy=torch.full((len(atoms),), torch.nan, dtype=torch.float64),
    )
    return Sample(from_ase(atoms), targets, formula, "all")


def potential() -> Sum:
    energies = {"name": "reference_energies", "elements": list(ENERGIES), "energies": list(ENERGIES.values())}
    return Sum([build(energies), build({"name": "zbl", "elements": list(ENERGIES)})])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_constants_are_never_rounded(dtype):
    found = predict(potential().to(dtype), [Atoms("Cu"), Atoms("Ni")])
    assert found.energy.tolist() == [ENERGIES["Cu"], ENERGIES["Ni"]]
    assert found.energy.dtype == torch.float64


def test_least_squares_recovers_what_made_the_data():
    data = [sample(f) for f in ("Cu4", "CuNi3", "NiO", "Cu2O5", "CuNiO", "Ni8")]
    found = least_squares_energies(data, list(ENERGIES))
    assert found == pytest.approx(list(ENERGIES.values()), rel=CLOSE)


def test_least_squares_leaves_unlabelled_structures_out():
    data = [sample(f) for f in ("Cu4", "CuNi3", "NiO", "Cu2O5")] + [sample("Cu7", torch.nan)]
    assert least_squares_energies(data, list(ENERGIES)) == pytest.approx(list(ENERGIES.values()), rel=CLOSE)
    assert least_squares_energies([sample("Cu7", torch.nan)], ["Cu"]) == [0.0]


def test_structures_of_any_size_weigh_alike():
    """Two of -1 eV/atom and one of -4 eV/atom mean -2, however many atoms they have."""
    data = [sample("Cu", -1.0), sample("Cu2", -2.0), sample("Cu100", -400.0)]
    assert least_squares_energies(data, ["Cu"]) == pytest.approx([-2.0])


def test_composition_that_never_varies_still_fits_the_totals():
    found = least_squares_energies([sample("CuO"), sample("Cu3O3")], ["Cu", "O"])
    assert sum(found) == pytest.approx(ENERGIES["Cu"] + ENERGIES["O"])
    assert found[0] == pytest.approx(found[1])  # least norm: nothing says which has more


def test_force_scale_is_the_rms_of_each_element():
    data = [sample("Cu2", force=3.0), sample("Cu2", force=4.0), sample("Ni", force=0.0), sample("O")]
    assert force_scales(data, ["Cu", "Ni", "O"]) == pytest.approx([12.5**0.5, 1.0, 1.0])


def test_energies_of_compounds_are_those_of_their_lowest_structures():
    data = [sample(f) for f in ("Cu4", "Cu2O5", "Ni8", "NiO")] + [sample("Cu4", 7.0), sample("Cu2O5", torch.nan)]
    found = compound_energies(data, list(ENERGIES), ["Cu4", "Ni8", "Cu2O5"])
    assert found == pytest.approx(list(ENERGIES.values()), rel=CLOSE)
    with pytest.raises(ConfigError, match=r"Cu4, Cu2O5 do not determine the energies of Ni"):
        compound_energies(data, list(ENERGIES), ["Cu4", "Cu2O5"])
    with pytest.raises(ConfigError, match="do not determine the energies of Ni O"):
        compound_energies(data, list(ENERGIES), ["Cu4", "NiO"])


def test_what_the_data_leave_open_is_said_once_where_it_matters(caplog):
    data = [sample("CuO"), sample("Cu3O3"), sample("Ni2")]
    least_squares_energies(data, list(ENERGIES))
    assert not caplog.records
    least_squares_energies(data, list(ENERGIES), remark=True)
    assert "do not determine the reference energies of Cu O" in caplog.text
