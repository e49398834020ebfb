"""Who may import whom: strictly downward, never sideways between packages of one level."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.package import imports, modules, tree

LEVELS = (
    "_version errors units",
    "files progress schema device memory",  # still the floor: they stand on errors alone
    "graph reports h5md",
    "io neighbors models probes",
    "evaluate checkpoint domain",
    "data pretrained",
    "calculator training export testing",
    "workflows",
    "distill",
    "cli",
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names.split()}

ONLY_IN = {
    "matplotlib": ("reports",),
    "ase": ("io", "h5md", "probes", "data", "calculator", "workflows", "distill", "cli", "testing", "pretrained"),
    "torch": (
        *("graph", "io", "neighbors", "models", "evaluate", "checkpoint", "domain", "data", "pretrained", "calculator"),
        *("training", "export", "testing", "device"),
    ),
    "dgl": ("models.ops_dgl",),
    "pickle": ("pretrained.archive",),  # the name of an error
    "vesin": ("neighbors.vesin",),
    "safetensors": ("checkpoint",),
    "lmdb": ("data.records",),
    "h5py": ("h5md",),
    "typer": ("cli",),
    "phonopy": ("workflows",),
    "phono3py": ("workflows",),
    "seekpath": ("workflows",),
    "pydantic": ("schema", "models", "training", "workflows", "pretrained"),
    "pooch": ("pretrained.download",),
    "requests": ("pretrained.resume",),
}
"""Outside packages that have a home: modules beyond it do not know them."""

NEVER = {"models": ("alignn_ff.files", "alignn_ff.device", "pathlib"), "workflows": ("alignn_ff.evaluate",)}


def violations(name: str, module: ast.Module) -> list[str]:
    """What is wrong with the imports of the module called `name`."""
    own = name.split(".")[0]
    found = []
    for target in imports(module):
        top, *rest = target.split(".")
        if top == "alignn_ff" and rest and own != "__init__":
            other = rest[0]
            if other != own and other in LEVEL and LEVEL[other] >= LEVEL[own]:
                found.append(f"{name} (level {LEVEL[own]}) imports {target} (level {LEVEL[other]})")
        homes = ONLY_IN.get(top)
        if homes is not None and not any(name == home or name.startswith(f"{home}.") for home in homes):
            found.append(f"{name} imports {top}, whose home is {', '.join(homes) or 'nowhere'}")
        if any(target == banned or target.startswith(f"{banned}.") for banned in NEVER.get(own, ())):
            found.append(f"{name} must not know {target}")
    return found


@pytest.mark.parametrize("name", modules())
def test_imports_point_downward(name):
    assert not violations(name, tree(modules()[name]))


def test_every_module_has_a_level():
    assert {name.split(".")[0] for name in modules()} - {"__init__"} <= set(LEVEL)


def test_what_only_type_checkers_see_is_no_import():
    source = "if TYPE_CHECKING:\n    from matplotlib.figure import Figure"
    assert not violations("workflows.md", ast.parse(source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("graph", "from alignn_ff.io import from_ase"),
        ("io", "from alignn_ff.neighbors import connect"),
        ("training.loop", "import alignn_ff.calculator.ase"),
        ("models.base", "def f():\n    import ase"),
        ("models.base", "from alignn_ff.files import write_text"),
        ("workflows.md", "import torch"),
        ("data.dataset", "from matplotlib import pyplot"),
        ("checkpoint", "import pickle"),
    ],
)
def test_a_wrong_import_would_be_seen(name, source):
    assert violations(name, ast.parse(source))
