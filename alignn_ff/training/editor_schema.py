"""The JSON schema of a training config, by which editors complete and check it."""

from __future__ import annotations

from typing import Any

from alignn_ff.models import MODELS, model_class
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.presets import PRESETS


def editor_schema() -> dict[str, Any]:
    """Every field of a config file with its type, default and description; a model has the fields of its name."""
    schema = TrainConfig.model_json_schema()
    trainable = [name for name in MODELS if hasattr(model_class(name), "Config")]
    schema["properties"]["model"] = {"anyOf": [_model(name) for name in trainable]}
    schema["properties"]["preset"] = {"enum": list(PRESETS), "description": "values of all fields not given"}
    files = {"type": "string"}
    for name in ("data", "validation_data", "replay_data"):  # one file may stand without brackets
        several = schema["properties"][name]
        schema["properties"][name] = {"anyOf": [files, several], "description": several.pop("description")}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "alignn-ff train", **schema}


def _model(name: str) -> dict[str, Any]:
    schema = model_class(name).Config.model_json_schema()
    schema["properties"] = {"name": {"const": name}, **schema["properties"]}
    return {**schema, "title": name, "required": ["name"]}
