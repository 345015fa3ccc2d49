"""The ways out for adapters that Safe LoRA refuses, and what DoRA is beside B·A: python ways_out.py FOLDER.

Writes FOLDER/ways-out.json: how far B·A is from DoRA's update, and how far a plain LoRA adapter of each rank is from the update
of the adapter that it was made from.
"""

import itertools
import sys
from pathlib import Path

from shared import linear_weights, load_model, lora_layers, read_json, write_json

import torch
from peft import PeftModel, convert_to_lora, save_as_lora

# v_proj is [24, 48], and no rank above 24 fits it.
RANKS = (4, 8, 16, 24)


def merged_update(aligned, adapter):
    """What PEFT's merge adds to each weight that it changes."""
    model = load_model(aligned)
    before = linear_weights(model)
    after = linear_weights(PeftModel.from_pretrained(model, adapter).double().merge_and_unload())
    changes = {name: after[name] - weight for name, weight in before.items()}
    return {name: change for name, change in changes.items() if change.norm() > 0}


def delta_as_lora(aligned, adapter, folder, rank):
    """PEFT's own way, right for every method whose layers know the delta that they add."""
    save_as_lora(folder, PeftModel.from_pretrained(load_model(aligned), adapter), rank=rank)


def merged_as_lora(aligned, adapter, folder, rank):
    """For DoRA and BD-LoRA, of whose layers `get_delta_weight` still answers B·A: each gets the delta that its merge adds."""
    updates = merged_update(aligned, adapter)
    model = PeftModel.from_pretrained(load_model(aligned), adapter)
    for name, layer in lora_layers(model).items():
        layer.get_delta_weight = lambda _, update=updates[name]: update.float()
    save_as_lora(folder, model, rank=rank)


def distance(one, other):
    """‖one − other‖ / ‖one‖ over all modules together."""
    difference = sum((one[name] - other[name]).norm() ** 2 for name in one)
    return (difference / sum(update.norm() ** 2 for update in one.values())).sqrt().item()


def dora_beside_b_a(case):
    """How far B·A alone is from DoRA's update, by the size of B·A against the weight and by how far the magnitudes have moved, and the
    ranks of that update."""
    found = []
    for size, moved in itertools.product((0.02, 0.1), (0, 0.001, 0.01)):
        torch.manual_seed(1)
        model = PeftModel.from_pretrained(load_model(case["aligned"]), case["adapter"]).double()
        layers, before = lora_layers(model), linear_weights(model)
        for name, layer in layers.items():
            factor = size * before[name].norm() / layer.get_delta_weight("default").norm()
            layer.lora_B["default"].weight.data *= factor
            start = before[name].norm(dim=1)
            layer.lora_magnitude_vector["default"].weight.data = start * (1 + moved * torch.randn(len(start)))
        b_a = {name: layer.get_delta_weight("default").detach() for name, layer in layers.items()}
        after = linear_weights(model.merge_and_unload())
        update = {name: after[name] - before[name] for name in layers}
        ranks = sorted({torch.linalg.matrix_rank(change, rtol=1e-9).item() for change in update.values()})
        found.append(dict(size=size, moved=moved, distance=distance(update, b_a), ranks=ranks))
    return found


def conversions(case, convert, folder):
    """By rank, how far the converted adapter's update is from the original's."""
    original = merged_update(case["aligned"], case["adapter"])
    found = []
    for rank in RANKS:
        target = folder / f"{case['name']}-{rank}"
        convert(case["aligned"], case["adapter"], target, rank)
        found.append(dict(rank=rank, distance=distance(original, merged_update(case["aligned"], target))))
    return found


def dora_by_peft_alone(case, folder):
    """What `save_as_lora` without more makes of DoRA: how far it is from DoRA's update, and from B·A."""
    delta_as_lora(case["aligned"], case["adapter"], folder, max(RANKS))
    converted = merged_update(case["aligned"], folder)
    layers = lora_layers(PeftModel.from_pretrained(load_model(case["aligned"]), case["adapter"]).double())
    b_a = {name: layer.get_delta_weight("default").detach() for name, layer in layers.items()}
    original = merged_update(case["aligned"], case["adapter"])
    return dict(fromDora=distance(original, converted), fromBA=distance(b_a, converted))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    cases = {(case["family"], case["name"]): case for case in read_json(folder / "cases.json")}
    dora, bdlora, loha = (cases["llama", name] for name in ("dora", "bdlora", "loha"))
    out = folder / "ways-out"
    write_json(
        folder / "ways-out.json",
        dict(
            doraBesideBA=dora_beside_b_a(dora),
            doraByPeftAlone=dora_by_peft_alone(dora, out / "by-peft-alone"),
            dora=conversions(dora, merged_as_lora, out),
            bdlora=conversions(bdlora, merged_as_lora, out),
            loha=conversions(loha, delta_as_lora, out),
        ),
    )
