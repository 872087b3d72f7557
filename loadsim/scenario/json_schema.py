"""The JSON Schema of a scenario, for editors (yaml-language-server) and other tools."""

from __future__ import annotations

from typing import Any

from loadsim.scenario.model import ScenarioModel
from loadsim.scenario.model_fields import VARIABLE


def json_schema() -> dict[str, Any]:
    """Return the schema of scenario files, version 1, made from the model that reads them.

    It knows shapes, names and units. What needs more than one key (shares that sum to 100%, classes that
    exist) is checked when a scenario is read, and whatever holds a ``${VAR}`` is checked only then.
    """
    schema = _without_null(ScenarioModel.model_json_schema(by_alias=True))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "loadsim scenario, version 1",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _without_null(value: Any) -> Any:
    """Drop what pydantic writes of optional fields (null, generated titles): no key of a scenario takes null."""
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {key: _without_null(item) for key, item in value.items() if not _generated(key, item)}
    options = schema.get("anyOf")
    if isinstance(options, list):
        left = [option for option in options if option != {"type": "null"}]
        if len(left) == 1 and isinstance(left[0], dict):
            del schema["anyOf"]
            schema = {**left[0], **schema}
        else:
            schema["anyOf"] = left
    if "patternProperties" in schema:
        ((pattern, item),) = schema.pop("patternProperties").items()
        schema["propertyNames"] = {"pattern": pattern.removesuffix(f"|{VARIABLE}")}  # a key holds no variable
        schema["additionalProperties"] = item
    return schema


def _generated(key: str, item: Any) -> bool:
    return (key == "default" and item is None) or (key == "title" and isinstance(item, str))
