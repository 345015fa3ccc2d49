"""What the interop programs share: quiet libraries, models from a folder, and Safe LoRA's formulas, dense and in float64."""

import json
import os
import struct
import warnings
from pathlib import Path

# Nothing here may ask a network for anything.
os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

import torch
import transformers
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

torch.set_num_threads(2)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
# PEFT warns of tied heads, of settings for other classes, of names that it does not know: the cases are about these.
warnings.filterwarnings("ignore")


def read_json(path):
    return json.loads(Path(path).read_text("utf-8"))


def write_json(path, value):
    Path(path).write_text(json.dumps(value, indent=1), "utf-8")


def load_model(folder):
    """The model in float32, which holds BF16 and F32 exactly; `.double()` after PEFT's own start-up code, some of which
    (MiCA's) refuses float64."""
    name = read_json(Path(folder) / "config.json")["architectures"][0]
    return getattr(transformers, name).from_pretrained(folder, dtype=torch.float32)


def report_name(name):
    """As the report has it: without what PEFT puts before every name of its own model."""
    return name.removeprefix("base_model.model.")


def linear_weights(model):
    """Of each linear layer, under PEFT's wrappers or not, its weight as [out, in] in float64."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, Conv1D)) and ".lora_" not in name:
            weight = module.weight.detach().double()
            found[report_name(name).removesuffix(".base_layer")] = weight.T if isinstance(module, Conv1D) else weight
    return {name: weight.clone() for name, weight in found.items()}


def lora_layers(model):
    """PEFT's layers by name."""
    return {report_name(name): module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def projector(v):
    """C = V·Vᵀ / ‖V‖_F"""
    return v @ v.T / v.norm()


def cosine(x, y):
    return (x.flatten() @ y.flatten() / (x.norm() * y.norm())).item()


def read_safetensors(path):
    """The format's own header (names in file order) and the bytes of each tensor, read without the library that wrote it."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    body = data[8 + length :]
    tensors = {
        name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])]) for name, entry in header.items()
    }
    return metadata, tensors
