"""Asks with the client of docs/clients/python.md, whose code is given as a file; prints what it got as JSON."""

import importlib.util
import json
import sys

module, url, key, pixels, shape = sys.argv[1:]
spec = importlib.util.spec_from_file_location("client", module)
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)

teacher = client.Teacher(url, key)
with open(pixels, "rb") as file:
    logits = teacher.logits(file.read(), tuple(json.loads(shape)))
refusals = []
for attempt in (
    lambda: client.Teacher(url, "a-wrong-key"),
    lambda: teacher.logits(b"\0" * 6, (1, 1, 2, 3), purpose="testing"),
):
    try:
        attempt()
    except RuntimeError as error:
        refusals.append(str(error).split(":")[0])
print(json.dumps({"version": teacher.card["version"], "logits": logits.tolist(), "refusals": refusals}))
