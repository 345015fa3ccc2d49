"""Reads what headers.interop.ts made: headers.py INPUT OUTPUT. INPUT holds files, each after its length as four bytes in little-endian order;
OUTPUT gets a line of JSON for each: the text of the refusal, or a list of name, dtype, shape and bytes in hexadecimal."""

import json
import struct
import sys

import safetensors


def read(data):
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        return str(error)
    return [[name, entry["dtype"], list(entry["shape"]), bytes(entry["data"]).hex()] for name, entry in tensors]


def main(source, target):
    data = open(source, "rb").read()
    at = 0
    with open(target, "w", encoding="utf-8") as output:
        while at < len(data):
            (length,) = struct.unpack_from("<I", data, at)
            at += 4
            output.write(json.dumps(read(data[at : at + length])) + "\n")
            at += length


main(*sys.argv[1:])
