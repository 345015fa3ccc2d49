"""What `evaluate` does, by Transformers and PEFT: one model, the adapter's B replaced for each point, prompts in batches.

behaviour.py FOLDER SETTINGS.json: prints {"seconds", "tokens", "peak"} as JSON; peak in bytes.
"""

import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "interop"))

import torch
from peft import PeftModel
from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict
from transformers import AutoModelForCausalLM

folder, settings = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
torch.set_num_threads(settings["threads"])
model = AutoModelForCausalLM.from_pretrained(folder / "aligned", dtype=getattr(torch, settings["dtype"])).eval()
model = PeftModel.from_pretrained(model, folder / "adapter").eval()
prompts = torch.tensor(settings["prompts"])
batch = settings["batch"]


def generate():
    tokens = 0
    for begin in range(0, len(prompts), batch):
        part = prompts[begin : begin + batch]
        with torch.inference_mode():
            out = model.generate(
                input_ids=part,
                attention_mask=torch.ones_like(part),
                max_new_tokens=settings["maxTokens"],
                min_new_tokens=settings["maxTokens"],
                do_sample=False,
                pad_token_id=0,
            )
        tokens += out.shape[0] * (out.shape[1] - part.shape[1])
    return tokens


started, tokens = time.perf_counter(), 0
with model.disable_adapter():
    tokens += generate()
for point in range(settings["points"]):
    # As a projected adapter's file would be loaded into the model that runs.
    set_peft_model_state_dict(model, load_peft_weights(str(folder / "adapter")))
    tokens += generate()
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps(dict(seconds=seconds, tokens=tokens, peak=peak)))
