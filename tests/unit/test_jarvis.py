"""Data sets of jarvis-tools by name: its own loading code over a server on this machine, and its ways to fail."""

from __future__ import annotations

import json
import sys
import types
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest
import torch

from alignn_ff.data import jarvis
from alignn_ff.data.cache import Storage, stored_samples
from alignn_ff.data.properties import PropertyKeys, read_properties
from alignn_ff.data.sources import Keys, read_samples
from alignn_ff.errors import ConfigError, DataError, DownloadError
from alignn_ff.training.config import load_config
from tests.model_server import serving

SILICON = {
    "lattice_mat": [[0.0, 2.73, 2.73], [2.73, 0.0, 2.73], [2.73, 2.73, 0.0]],
    "coords": [[0.0, 0.0, 0.0], [0.25, 0.25, 0.25]],
    "elements": ["Si", "Si"],
    "cartesian": False,
}
RECORDS = [
    {"jid": "JVASP-1", "atoms": SILICON, "optb88vdw_total_energy": -4.4, "optb88vdw_bandgap": 0.7, "mbj_bandgap": "na"},
    {"jid": "JVASP-2", "atoms": SILICON, "optb88vdw_total_energy": -4.3, "optb88vdw_bandgap": 0.6, "mbj_bandgap": 1.1},
]
NAME = "small-1-1-2026.json"


@pytest.fixture
def server(tmp_path):
    with zipfile.ZipFile(tmp_path / "downloaded", "w") as archive:
        archive.writestr(NAME, json.dumps(RECORDS))
    with serving({"small": (tmp_path / "downloaded").read_bytes()}) as giving:
        yield giving.url("good", "small")


def stand_in(url: str, folder: Path) -> types.ModuleType:
    """What `jarvis.db.figshare` does to load a data set: fetch a zip once, keep it, talk about it."""
    module = types.ModuleType("jarvis.db.figshare")

    def data(dataset: str) -> object:
        print("Obtaining", dataset)
        path = folder / f"{NAME}.zip"
        if not path.is_file():
            with urlopen(module.get_db_info()[dataset][0]) as response:
                path.write_bytes(response.read())
        return json.loads(zipfile.ZipFile(path).read(NAME))

    module.get_db_info = lambda: {"small": [url, NAME, "Obtaining", "doi"], "dft_3d": [url, NAME, "", ""]}
    module.data = data
    return module


@pytest.fixture(params=["stand-in", "jarvis-tools"])
def figshare(request, server, tmp_path, monkeypatch):
    """The loading code with a table that names the server; the true one where jarvis-tools is installed."""
    kept = tmp_path / "kept"
    kept.mkdir()
    if request.param == "stand-in":
        module = stand_in(server, kept)
        for name in ("jarvis", "jarvis.db"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        monkeypatch.setitem(sys.modules, "jarvis.db.figshare", module)
        return module
    module = pytest.importorskip("jarvis.db.figshare")
    monkeypatch.setattr(module, "get_db_info", lambda: {"small": [server, NAME, "Obtaining", "doi"]})
    monkeypatch.setattr(module, "get_cache_dir", lambda _: str(kept))
    return module


def test_a_named_data_set_is_read_as_its_records(figshare, capsys):
    one, two = read_samples("jarvis:small", Keys(energy="optb88vdw_total_energy"))
    assert (one.key, two.key) == ("JVASP-1", "JVASP-2")
    assert float(one.targets.energy) == pytest.approx(-8.8)
    assert one.graph.numbers.tolist() == [14, 14] and bool(torch.isnan(one.targets.forces).all())
    assert capsys.readouterr().out == ""


def test_it_is_downloaded_once(figshare, server, monkeypatch):
    read_samples("jarvis:small", Keys(energy="optb88vdw_total_energy"))
    monkeypatch.setattr(figshare, "get_db_info", lambda: {"small": ["http://127.0.0.1:9/no", NAME, "", ""]})
    assert len(read_samples("jarvis:small", Keys(energy="optb88vdw_total_energy"))) == 2


def test_it_trains_property_models_too(figshare):
    found = read_properties(["jarvis:small"], PropertyKeys("mbj_bandgap"))
    assert [(one.sample.key, one.values.tolist()) for one in found] == [("JVASP-2", [1.1])]


def test_it_can_be_kept_on_disk(figshare, tmp_path):
    storage = Storage(True, tmp_path / "cache", tmp_path / "run", False, 1.0)
    stored = stored_samples(["jarvis:small"], Keys(energy="optb88vdw_total_energy"), storage, "data")
    assert [s.key for s in stored] == ["JVASP-1", "JVASP-2"]
    assert stored.records.origin["files"] == [{"name": "jarvis:small", "file": NAME}]


def test_an_energy_nobody_has_is_told(figshare):
    with pytest.raises(DataError, match="optb88vdw_bandgap"):
        read_samples("jarvis:small", Keys(energy="enthalpy"))


def test_no_network_is_told(figshare, monkeypatch):
    monkeypatch.setattr(figshare, "get_db_info", lambda: {"small": ["http://127.0.0.1:9/no", NAME, "", ""]})
    with pytest.raises(DownloadError, match="could not be downloaded from http://127"):
        read_samples("jarvis:small")


def test_a_download_cut_short_is_told(figshare, tmp_path):
    (tmp_path / "kept" / f"{NAME}.zip").write_bytes((tmp_path / "downloaded").read_bytes()[:100])
    with pytest.raises(DownloadError, match=f"{NAME}.zip.*Remove it"):
        read_samples("jarvis:small")


def test_an_unknown_name_is_told(figshare):
    with pytest.raises(ConfigError, match="did you mean `small`"):
        read_samples("jarvis:smal")


def test_without_jarvis_tools_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jarvis.db.figshare", None)
    with pytest.raises(ConfigError, match=r"alignn-ff\[jarvis\]"):
        read_samples("jarvis:dft_3d")


def test_a_name_is_no_path_beside_the_config(tmp_path):
    (tmp_path / "config.yaml").write_text("data: [jarvis:dft_3d, mine.extxyz]\n")
    assert load_config(tmp_path / "config.yaml").data == ("jarvis:dft_3d", f"{tmp_path}/mine.extxyz")
    assert jarvis.is_named("jarvis:dft_3d") and not jarvis.is_named(tmp_path / "jarvis:x")
