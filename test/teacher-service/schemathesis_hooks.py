"""
Teaches Schemathesis what JSON Schema cannot say of a logits request: how a body is written, and how its fields fit
each other. Bodies, names and headers that break the schema stay as they were made, so that refusals are tried too.
"""

import hashlib
import json
import os
import re

import msgpack
import schemathesis
from hypothesis import strategies as st

MSGPACK = "application/vnd.msgpack"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MODEL, VERSION = os.environ["SCHEMATHESIS_MODEL"], os.environ["SCHEMATHESIS_VERSION"]
ELEMENT = {"uint8": 1, "float32": 4}

# Bytes as text, a character for each: Schemathesis's own kind of binary cannot be held against a union of schemas.
schemathesis.openapi.format("binary", st.binary(max_size=64).map(lambda data: data.decode("latin-1")))


@schemathesis.serializer(MSGPACK)
def pack(_context, body):
    return msgpack.packb(packable(fitted(body)), default=str)


@schemathesis.deserializer(MSGPACK)
def unpack(_context, response):
    return as_text(msgpack.unpackb(response.content))


@schemathesis.auth()
class Token:
    def get(self, _case, _context):
        return os.environ["SCHEMATHESIS_TOKEN"]

    def set(self, case, token, _context):
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Three of four pins, and of names that are well formed, become true ones; no time is too short to be answered in."""
    name = case.path_parameters.get("model")
    if isinstance(name, str) and NAME.fullmatch(name) and len(name) % 4 != 3:
        case.path_parameters["model"] = MODEL
    pin = case.headers.get("x-funmatch-teacher-version")
    if isinstance(pin, str) and len(pin) % 4 != 2:
        case.headers["x-funmatch-teacher-version"] = VERSION
    time = case.headers.get("x-funmatch-timeout-ms")
    if isinstance(time, str) and re.fullmatch(r"[1-9][0-9]{0,4}", time):
        case.headers["x-funmatch-timeout-ms"] = "100000"
    if "version" in case.path_parameters and len(case.path_parameters["version"]) % 4 != 3:
        case.path_parameters["version"] = "1"
    if case.path.endswith("/infer") and case.meta.generation.mode.is_positive:
        make_inference(case)


def make_inference(case):
    """What is valid for any server of the protocol becomes valid for one of images and logits."""
    seed = len(repr(case.body))
    shape = [1 + seed % 3, 1 + seed % 40, 1 + seed % 37, 3]
    size = shape[0] * shape[1] * shape[2] * 3
    pixels = bytes((seed + i * 7) % 256 for i in range(size))
    asked = case.body if isinstance(case.body, dict) else {}
    parameters = asked.get("parameters") or {}
    kept = {name: parameters[name] for name in ("purpose", "binary_data_output") if name in parameters}
    body = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": shape}]}
    if "id" in asked:
        body["id"] = asked["id"]
    if kept:
        body["parameters"] = kept
    if seed % 2:
        body["outputs"] = [{"name": "logits", "parameters": {"binary_data": seed % 4 == 1}}]
    case.headers.pop("inference-header-content-length", None)
    if case.media_type == "application/json":
        body["inputs"][0]["data"] = list(pixels)
        case.body = body
    else:
        body["inputs"][0]["parameters"] = {"binary_data_size": size}
        head = json.dumps(body).encode()
        case.headers["inference-header-content-length"] = str(len(head))
        case.body = head + pixels


def fitted(body):
    """A body whose fields are each right, made small, with as many pixels as its shape says and their digest."""
    if not is_well_formed(body):
        return body
    images = body["images"]
    count, height, width, _ = images["shape"]
    shape = [1 + count % 3, 1 + height % 40, 1 + width % 40, 3]
    size = shape[0] * shape[1] * shape[2] * 3 * ELEMENT[images["dtype"]]
    seed = images["data"].encode("latin-1", "replace") or b"\0"
    # Floats made of any bytes would be huge or no numbers; zeros are pixels.
    data = (seed * (size // len(seed) + 1))[:size] if images["dtype"] == "uint8" else bytes(size)
    digest = {"digest": "sha256:" + hashlib.sha256(data).hexdigest()} if "digest" in body else {}
    return {"purpose": body["purpose"], **digest, "images": {"dtype": images["dtype"], "shape": shape, "data": data}}


def is_well_formed(body):
    if not isinstance(body, dict) or set(body) not in ({"purpose", "images"}, {"purpose", "digest", "images"}):
        return False
    images, digest = body["images"], body.get("digest")
    return (
        (body["purpose"] == "train" and digest is not None or body["purpose"] == "eval")
        and (digest is None and "digest" not in body or isinstance(digest, str) and DIGEST.fullmatch(digest))
        and isinstance(images, dict)
        and set(images) == {"dtype", "shape", "data"}
        and images["dtype"] in ("uint8", "float32")
        and isinstance(images["shape"], list)
        and len(images["shape"]) == 4
        and all(type(n) is int and 0 < n < 2**32 for n in images["shape"])
        and isinstance(images["data"], str)
    )


def packable(value):
    """With bytes for the text that stands for them; integers that msgpack does not know as floats."""
    if isinstance(value, dict):
        return {str(key): pixels(each) if key == "data" else packable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [packable(each) for each in value]
    if type(value) is int and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 2**1000 else str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value


def pixels(value):
    return value.encode("latin-1", "replace") if isinstance(value, str) else packable(value)


def as_text(value):
    """Bytes as strings, which is what a JSON schema calls them."""
    if isinstance(value, bytes):
        return "bytes"
    if isinstance(value, dict):
        return {key: as_text(each) for key, each in value.items()}
    return [as_text(each) for each in value] if isinstance(value, list) else value
