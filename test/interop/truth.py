"""What PEFT makes of each measured adapter, and Safe LoRA's numbers of it, dense and in float64: python truth.py FOLDER.

The update of a module is what PEFT's own merge adds to the aligned weight. Writes FOLDER/truth.json, by family/name.
"""

import sys
from pathlib import Path

from shared import cosine, linear_weights, load_model, lora_layers, projector, read_json, write_json

import torch
from peft import PeftModel


def peft_updates(case, adapter):
    """The update of each linear layer that PEFT changes, as [out, in], the scale it has there, and how it was learnt."""
    model = load_model(case["aligned"])
    before = linear_weights(model)
    peft_model = PeftModel.from_pretrained(model, adapter).double()
    layers = lora_layers(peft_model)
    scales = {name: layer.scaling["default"] for name, layer in layers.items()}
    # aLoRA is on only after certain tokens, so that PEFT will not merge it; and where the embedding's weight is the head's, merging
    # both of their adapters adds the one to the other. What a layer adds when it is on is then PEFT's own delta.
    tied = {"model.embed_tokens", "lm_head"} <= layers.keys() and model.config.tie_word_embeddings
    if peft_model.peft_config["default"].alora_invocation_tokens or tied:
        deltas = {name: layers[name].get_delta_weight("default").detach() for name in layers if name in before}
        return deltas, scales, "delta"
    after = linear_weights(peft_model.merge_and_unload())
    changes = {name: after[name] - weight for name, weight in before.items()}
    return {name: change for name, change in changes.items() if change.norm() > 0}, scales, "merged"


def alignment(case):
    base, aligned = (linear_weights(load_model(case[side])) for side in ("base", "aligned"))
    return {name: aligned[name] - base[name] for name in aligned}


def safe_lora(update, v):
    projected = projector(v) @ update
    return dict(
        similarity=cosine(update, projected),
        direction=cosine(update, v),
        gain=(projected.norm() / update.norm()).item(),
        alignmentNorm=v.norm().item(),
        norm=update.norm().item(),
    )


def authors_similarity(case, name):
    """The paper's released code: float32, the projector formed, the cosine of the flattened updates."""
    base, aligned = (linear_weights(load_model(case[side]))[name].float() for side in ("base", "aligned"))
    layer = lora_layers(PeftModel.from_pretrained(load_model(case["aligned"]), case["adapter"]))[name]
    a, b = layer.lora_A["default"].weight.detach().float(), layer.lora_B["default"].weight.detach().float()
    v = aligned - base
    original, projected = b @ a, (v @ v.T / torch.norm(v)) @ b @ a
    return torch.nn.functional.cosine_similarity(original.reshape(1, -1), projected.reshape(1, -1)).item()


def truth_of(case):
    updates, scales, how = peft_updates(case, case["adapter"])
    v = alignment(case)
    lora = [name for name in scales if name in updates and name not in case["also"]]
    modules = {name: dict(**safe_lora(updates[name], v[name]), scale=scales[name]) for name in lora}
    together = [torch.cat([matrices[name].flatten() for name in lora]) for matrices in (updates, v)]
    if case["family"] == "sample":
        for name in lora:
            modules[name]["authors"] = authors_similarity(case, name)
    return dict(modules=modules, changed=sorted(updates), direction=cosine(*together), how=how)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    measured = [case for case in read_json(folder / "cases.json") if case["refused"] is None]
    write_json(folder / "truth.json", {f"{case['family']}/{case['name']}": truth_of(case) for case in measured})
