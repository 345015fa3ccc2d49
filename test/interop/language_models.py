"""Tiny random models of every family that Safe LoRA runs, with PEFT adapters on every linear layer, and what Transformers
computes with them. test/fixtures/language-models holds the same as they were recorded.

make FOLDER: of each family base, aligned and adapter, in FOLDER/<name>/.
truth FOLDER: of each family that has a projected adapter beside these, truth.json: logits at the prompts' last places and
greedy answers of the aligned model, with the adapter, and with the adapter as it was projected.
"""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from shared import load_model, read_json, write_json
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
)

SHAPE = dict(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=3,
    num_attention_heads=2,
    num_key_value_heads=1,
    max_position_embeddings=128,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)
LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=500000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
GEMMA = dict(SHAPE, head_dim=32, query_pre_attn_scalar=32, sliding_window=16)

# Configuration, dtype of the files, bytes of a shard, options of the adapter.
FAMILIES = {
    "llama": (LlamaConfig(**SHAPE), "float32", None, {}),
    "llama-3-tied": (LlamaConfig(**SHAPE, rope_parameters=LLAMA3, tie_word_embeddings=True), "bfloat16", None, {}),
    "llama-linear-biases": (
        LlamaConfig(
            **SHAPE,
            rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0),
            attention_bias=True,
            mlp_bias=True,
        ),
        "float16",
        20_000,
        {},
    ),
    "llama-saved-head": (LlamaConfig(**SHAPE), "bfloat16", None, dict(modules_to_save=["lm_head", "embed_tokens"])),
    "mistral-window": (MistralConfig(**SHAPE, sliding_window=16, head_dim=32), "bfloat16", 20_000, dict(head=True)),
    "qwen2-biases": (Qwen2Config(**SHAPE), "bfloat16", None, {}),
    "qwen2-window": (
        Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=16, max_window_layers=1),
        "bfloat16",
        None,
        {},
    ),
    "qwen3-tied": (Qwen3Config(**SHAPE, head_dim=32, tie_word_embeddings=True), "bfloat16", None, {}),
    "gemma2": (Gemma2Config(**GEMMA), "bfloat16", None, {}),
    "gemma3": (Gemma3TextConfig(**GEMMA), "bfloat16", None, {}),
    "phi3": (Phi3Config(**SHAPE, sliding_window=None), "bfloat16", None, {}),
}
LENGTHS = [9, 30, 17]
NEW_TOKENS = 24


def randomise(model, generator):
    """Weights large enough for attention to be sharp and answers to differ."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
                parameter.mul_(1.0 if "embed" in name else 1.5 / parameter.shape[1] ** 0.5)


def make(folder):
    for seed, (name, (config, dtype, shard, options)) in enumerate(FAMILIES.items()):
        generator = torch.Generator().manual_seed(seed)
        target = folder / name
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        randomise(model, generator)
        saved = dict(max_shard_size=shard) if shard else {}
        model.to(getattr(torch, dtype)).save_pretrained(target / "base", **saved)
        model.float()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    noise = torch.randn(parameter.shape[0], 4, generator=generator) @ torch.randn(
                        4, parameter.shape[1], generator=generator
                    )
                    parameter.add_(noise * 0.05 / parameter.shape[1] ** 0.5)
        model.to(getattr(torch, dtype)).save_pretrained(target / "aligned", **saved)
        model = load_model(target / "aligned")
        options = dict(options)
        modules = "all-linear"
        if options.pop("head", False):
            modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]
        lora = LoraConfig(r=2, lora_alpha=3, target_modules=modules, task_type="CAUSAL_LM", **options)
        adapted = get_peft_model(model, lora)
        with torch.no_grad():
            for key, parameter in adapted.named_parameters():
                if "lora_" in key or "modules_to_save" in key:
                    parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
        adapted.save_pretrained(target / "adapter")


def prompts(vocabulary):
    generator = torch.Generator().manual_seed(7)
    return [torch.randint(3, vocabulary, (length,), generator=generator).tolist() for length in LENGTHS]


def answers(model, inputs):
    found = []
    for tokens in inputs:
        ids = torch.tensor([tokens])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, -1]
            greedy = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                eos_token_id=None,
                pad_token_id=0,
            )[0, len(tokens) :]
        found.append(dict(tokens=tokens, logits=[round(logit, 7) for logit in logits.tolist()], answer=greedy.tolist()))
    return found


def truth(folder):
    for target in sorted(path for path in folder.iterdir() if (path / "projected").exists()):
        inputs = prompts(read_json(target / "aligned" / "config.json")["vocab_size"])
        found = dict(aligned=answers(load_model(target / "aligned").eval(), inputs))
        for name in ("adapter", "projected"):
            model = PeftModel.from_pretrained(load_model(target / "aligned"), target / name, autocast_adapter_dtype=False)
            found[name] = answers(model.float().eval(), inputs)
        write_json(target / "truth.json", found)


if __name__ == "__main__":
    # Products this small only wait for a second thread.
    torch.set_num_threads(1)
    torch.manual_seed(0)
    {"make": make, "truth": truth}[sys.argv[1]](Path(sys.argv[2]))
