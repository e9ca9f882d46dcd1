"""Writes the schemas of the two kinds that no npm package has, from PyPI's packages (both Apache-2.0), beside this file:

    pip download --no-deps google-api-python-client==2.202.0 kserve==0.21.0
    python3 extract.py google_api_python_client-2.202.0-py3-none-any.whl kserve-0.21.0-py3-none-any.whl

cloud-run.json is what Google's discovery document of the Cloud Run Admin API v1 says of a Service. kserve.json is what
KServe's own Python models say of an InferenceService; what it takes from Kubernetes is left open there (a predictor is a
PodSpec with more keys), to be checked with the schema of a Pod.
"""

import json
import pathlib
import re
import sys
import zipfile

HERE = pathlib.Path(__file__).parent


def closed(schema):
    """Without descriptions, references as JSON Schema has them; a key that nobody knows is refused, as servers do."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    if schema.get("format") in ("byte", "google-datetime", "int32", "int64", "float", "double"):
        schema = {key: value for key, value in schema.items() if key != "format"}
    kept = {k: schema[k] for k in ("type", "enum", "items", "additionalProperties") if k in schema}
    kept = {k: closed(value) if k in ("items", "additionalProperties") else value for k, value in kept.items()}
    if "properties" in schema:
        kept["properties"] = {name: closed(value) for name, value in schema["properties"].items()}
        kept.setdefault("additionalProperties", False)
    return kept


def reachable(schemas, name, found):
    if name in found or name not in schemas:
        return found
    found[name] = schemas[name]
    for other in re.findall(r'"\$ref": "(?:#/\$defs/)?([^"]+)"', json.dumps(schemas[name])):
        reachable(schemas, other, found)
    return found


def cloud_run(wheel):
    name = "googleapiclient/discovery_cache/documents/run.v1.json"
    schemas = json.loads(zipfile.ZipFile(wheel).read(name))["schemas"]
    return {name: closed(schema) for name, schema in reachable(schemas, "Service", {}).items()}


def kserve(wheel):
    archive = zipfile.ZipFile(wheel)
    models = {}
    for path in archive.namelist():
        text = archive.read(path).decode() if re.match(r"kserve/models/v1beta1_\w+\.py", path) else ""
        cls = re.search(r"^class (\w+)\(", text, re.M)
        if cls:
            types, names = (
                dict(re.findall(r"'(\w+)': '([^']+)'", re.search(rf"{what} = {{(.*?)}}", text, re.S)[1]))
                for what in ("openapi_types", "attribute_map")
            )
            models[cls[1]] = {"type": "object", "properties": {names[key]: types[key] for key in types}}
    for model in models.values():
        model["properties"] = {name: typed(kind, models) for name, kind in model["properties"].items()}
        model["additionalProperties"] = False
    return reachable(models, "V1beta1InferenceService", {})


def typed(kind, models):
    if kind.startswith("list["):
        return {"type": "array", "items": typed(kind[5:-1], models)}
    if kind.startswith("dict("):
        return {"type": "object", "additionalProperties": typed(kind[5:-1].split(", ")[1], models)}
    if kind in models:
        return {"$ref": f"#/$defs/{kind}"}
    plain = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
    return {"type": plain[kind]} if kind in plain else {}


def write(name, root, schemas):
    text = json.dumps({"$ref": f"#/$defs/{root}", "$defs": dict(sorted(schemas.items()))}, separators=(",", ":"))
    (HERE / name).write_text(text + "\n")


write("cloud-run.json", "Service", cloud_run(sys.argv[1]))
write("kserve.json", "V1beta1InferenceService", kserve(sys.argv[2]))
