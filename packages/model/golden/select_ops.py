"""python select_ops.py SOURCE: keeps the small cases of generate_ops.py's output that this package tests."""

import json
import os
import struct
import sys

KEPT = [
    "rms_norm.1x16", "rms_norm.31x32", "rms_norm.33x16", "rms_norm.extreme", "rms_norm.extreme_eps5",
    "rotary.plain.33x2x16", "rotary.plain.31x1x32", "rotary.plain.1x2x64",
    "swiglu.1x64", "swiglu.33x16", "swiglu.extreme",
    "attention.one_token", "attention.ones_between", "attention.peaked",
    "logprob.31x16x101", "logprob.peaked",
    "adamw.1", "adamw.33_decay", "adamw.31_no_decay", "adamw.64_large_eps",
    "clip.above", "clip.below", "clip.near",
]  # fmt: skip

source = sys.argv[1]
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(source, "ops.json")) as file:
    index = json.load(file)
index["cases"] = [case for case in index["cases"] if case["name"] in KEPT]
with open(os.path.join(here, "ops.json"), "w") as file:
    json.dump(index, file, indent=1)
    file.write("\n")
with open(os.path.join(source, "ops.safetensors"), "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    data = file.read()
kept, chunks, offset = {"__metadata__": header.get("__metadata__", {})}, [], 0
for name in sorted(header, key=lambda name: (header[name].get("dtype") != "F64", name)):
    if name.rsplit(".", 1)[0] in KEPT:
        begin, end = header[name]["data_offsets"]
        kept[name] = {**header[name], "data_offsets": [offset, offset + end - begin]}
        chunks.append(data[begin:end])
        offset += end - begin
text = json.dumps(kept).encode()
text += b" " * (-len(text) % 8)
with open(os.path.join(here, "ops.safetensors"), "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))
