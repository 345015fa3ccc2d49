"""Holds what safe-lora wrote against PEFT and against dense float64: python written.py FOLDER.

FOLDER/written/SELECTION/FAMILY.json are the reports of a run, and FAMILY/NAME beside each is the projected adapter. Writes
FOLDER/written.json, by selection/family/name.
"""

import sys
from pathlib import Path

from shared import load_model, projector, read_json, read_safetensors, write_json
from truth import alignment, peft_updates

import torch
from peft import PeftModel

FILE = "adapter_model.safetensors"
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16}


def load_result(case, adapter):
    """The keys that PEFT did not know, and those of LoRA that it missed."""
    model = PeftModel.from_pretrained(load_model(case["aligned"]), adapter)
    # Into the layers that are there by now: unlike the first time, PEFT hands on what it found.
    result = model.load_adapter(adapter, adapter_name="default")
    missing = [key for key in result.missing_keys if "lora_" in key]
    return dict(unexpected=list(result.unexpected_keys), missing=missing)


def decoded(dtype, shape, data):
    return torch.frombuffer(bytearray(data), dtype=DTYPES[dtype]).reshape(shape).double()


def compare_files(original, written, selected, v):
    """Which tensors differ, and how far each selected lora_B is from C·B: of F32 by its largest entry, of BF16 entry by entry."""
    (_, before), (_, after) = (read_safetensors(folder / FILE) for folder in (original, written))
    same_layout = [(name, *tensor[:2]) for name, tensor in before.items()] == [
        (name, *tensor[:2]) for name, tensor in after.items()
    ]
    changed = [name for name in before if name in after and before[name] != after[name]]
    errors = {"F32": 0.0, "BF16": 0.0}
    for module in selected:
        name = f"base_model.model.{module}.lora_B.weight"
        dtype = before[name][0]
        exact = projector(v[module]) @ decoded(*before[name])
        difference = (decoded(*after[name]) - exact).abs()
        error = difference / exact.abs() if dtype == "BF16" else difference / exact.abs().max()
        errors[dtype] = max(errors[dtype], error.max().item())
    same_config = (original / "adapter_config.json").read_bytes() == (written / "adapter_config.json").read_bytes()
    return dict(sameLayout=same_layout, sameConfig=same_config, changed=changed, errors=errors)


def compare_merged(case, written, selected, v):
    """How far PEFT's merged update of what was written is from C·ΔW, or from ΔW where nothing was selected, against its norm."""
    before, _, _ = peft_updates(case, case["adapter"])
    after, _, _ = peft_updates(case, written)
    worst = 0.0
    for name in before:
        exact = projector(v[name]) @ before[name] if name in selected else before[name]
        worst = max(worst, ((after[name] - exact).norm() / exact.norm()).item())
    return worst


def findings(case, written, selected):
    v = alignment(case)
    original = Path(case["adapter"])
    return dict(
        **load_result(case, written),
        **compare_files(original, written, selected, v),
        merged=compare_merged(case, written, selected, v),
    )


def main(folder):
    cases = {(case["family"], case["name"]): case for case in read_json(folder / "cases.json")}
    found = {}
    for report_file in sorted((folder / "written").glob("*/*.json")):
        selection, family = report_file.parent.name, report_file.stem
        for report in read_json(report_file)["reports"]:
            name = report["adapter"]["name"]
            selected = [module["name"] for module in report["modules"] if module["selected"]]
            written = report_file.parent / family / name
            found[f"{selection}/{family}/{name}"] = findings(cases[family, name], written, selected)
    write_json(folder / "written.json", found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
