"""Makes tiny models of each family and the adapters that PEFT itself saves for them: python adapters.py FOLDER SAMPLE.

Every adapter, the shipped sample's too, is one case of FOLDER/cases.json: the pair of models it belongs to, and what Safe LoRA has to
do with it.
"""

import platform
import sys
import zlib
from importlib import metadata
from pathlib import Path

from shared import load_model, read_json, write_json
from ways_out import delta_as_lora, merged_as_lora

import torch
from peft import (
    ArrowConfig,
    BdLoraConfig,
    EvaConfig,
    LoHaConfig,
    LoraConfig,
    LoraGAConfig,
    MontecloraConfig,
    VeloraConfig,
    create_arrow_model,
    get_peft_model,
    initialize_lora_eva_weights,
)
from peft.tuners.lora.config import CordaConfig, KasaConfig
from peft.tuners.lora.corda import preprocess_corda
from peft.tuners.lora.loraga import preprocess_loraga
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

VOCABULARY = 96
SMALL = dict(
    vocab_size=VOCABULARY, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4, pad_token_id=0
)
GROUPED = dict(**SMALL, num_key_value_heads=2)

FAMILIES = {
    # Grouped heads: k_proj and v_proj are [24, 48], q_proj and o_proj square.
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**GROUPED)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**GROUPED)),
    # Biases on q, k and v.
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**GROUPED)),
    # The head is the embedding.
    "gemma": lambda: GemmaForCausalLM(GemmaConfig(**GROUPED, head_dim=12)),
    # Fused qkv_proj and gate_up_proj.
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**GROUPED)),
    # Conv1D, stored [in, out]; attn.c_proj is square, and the head, a tied nn.Linear, is not a Conv1D.
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=48, n_layer=2, n_head=4, n_positions=64)),
    # Encoder and decoder.
    "t5": lambda: T5ForConditionalGeneration(
        T5Config(vocab_size=VOCABULARY, d_model=48, d_kv=12, d_ff=80, num_layers=2, num_heads=4)
    ),
}
# How the weights lie on the disk, where it is not one file of F32.
STORED = {"llama": dict(max_shard_size="60KB"), "mistral": dict(dtype=torch.bfloat16)}


def seed(name):
    torch.manual_seed(zlib.crc32(name.encode()))


@torch.no_grad()
def make_pair(folder, family):
    """base, and aligned = base and a small difference of low rank with a little noise, as training leaves one."""
    seed(family)
    model = FAMILIES[family]().eval()
    how = dict(STORED.get(family, {}))
    dtype = how.pop("dtype", torch.float32)
    model.to(dtype).save_pretrained(folder / f"{family}-base", **how)
    for weight in model.parameters():
        if weight.ndim == 2:
            left, right = torch.randn(weight.shape[0], 3), torch.randn(3, weight.shape[1])
            change = 2e-3 * left @ right + 3e-4 * torch.randn(weight.shape)
            weight.copy_(weight.float() + change)
    model.save_pretrained(folder / f"{family}-aligned", **how)


@torch.no_grad()
def train(model):
    """Moves every weight that training would move: A and B, and whatever else the adapter trains."""
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            noise = torch.randn(weight.shape)
            weight.add_((0.1 * weight.float() if "magnitude" in name else 0.05) * noise)


def tokens(rows=4):
    ids = torch.randint(1, VOCABULARY, (rows, 32))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


class Cases:
    def __init__(self, folder):
        self.folder = folder
        self.models = folder / "models"
        self.cases = []

    def aligned(self, family):
        return load_model(self.models / f"{family}-aligned")

    def record(self, family, name, adapter, *, models=None, refused=None, code="unsupported-adapter", notice=None, also=()):
        """
        models   the folders of base and aligned, where they are not the family's own
        refused  what the refusal must name; None where the adapter is measured
        code     the refusal's
        notice   what a notice must name: a part of the adapter that no number speaks of
        also     linear layers that the adapter changes and that we leave out and name
        """
        base, aligned = models or (self.models / f"{family}-{side}" for side in ("base", "aligned"))
        entry = dict(family=family, name=name, adapter=str(adapter), base=str(base), aligned=str(aligned))
        self.cases.append(entry | dict(refused=refused, code=code, notice=notice, also=list(also)))

    def add(self, family, name, *, dtype=torch.float32, prepare=None, start=None, expect={}, **config):
        """
        prepare  called with the model and the configuration before PEFT's layers are in it
        start    called with the PEFT model before it is trained
        expect   see `record`
        """
        seed(f"{family}/{name}")
        model = self.aligned(family).to(dtype)
        task = "SEQ_2_SEQ_LM" if family == "t5" else "CAUSAL_LM"
        config = LoraConfig(**{"r": 8, "lora_alpha": 16, "task_type": task, "target_modules": ["q_proj", "v_proj"], **config})
        if prepare:
            prepare(model, config)
        model = get_peft_model(model, config, autocast_adapter_dtype=False)
        if start:
            start(model)
        train(model)
        adapter = self.folder / "adapters" / family / name
        model.save_pretrained(adapter)
        self.record(family, name, adapter, **expect)

    def add_converted(self, family, name, *, prepare=None, **config):
        """An initialisation that changes the base, saved the way that makes it an update of the unchanged one again."""
        seed(f"{family}/{name}")
        model = self.aligned(family)
        config = LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], **config)
        if prepare:
            prepare(model, config)
        model = get_peft_model(model, config)
        initial = self.folder / "initial" / name
        model.peft_config["default"].init_lora_weights = True
        model.save_pretrained(initial)
        train(model)
        adapter = self.folder / "adapters" / family / name
        model.save_pretrained(adapter, path_initial_model_for_weight_conversion=str(initial))
        self.record(family, name, adapter)


def corda(model, config):
    preprocess_corda(model, config, run_model=lambda: [model(**tokens(rows=1)) for _ in range(8)])


def lora_ga(model, config):
    def step():
        batch = tokens()
        model(**batch, labels=batch["input_ids"]).loss.backward()

    preprocess_loraga(model, config, train_step=step)
    model.zero_grad()


def eva(model):
    initialize_lora_eva_weights(model, [tokens() for _ in range(8)], show_progress_bar=False)


def refused(setting):
    return dict(refused=setting)


def llama(cases):
    add = lambda name, **how: cases.add("llama", name, **how)
    add("plain")
    add("rank-1", r=1, lora_alpha=1)
    add("rank-20", r=20)
    add("negative-alpha", lora_alpha=-8)
    add(
        "patterns",
        target_modules=["q_proj", "k_proj", "v_proj", "down_proj"],
        rank_pattern={r"layers\.1\..*": 4, "mlp.down_proj": 12},
        alpha_pattern={r"^model\.layers\.0\.self_attn\.q_proj": 5, r"layers\.\d+\.self_attn\.[kv]_proj": 40},
    )
    add(
        "python-patterns",
        rank_pattern={r"(?P<which>q)_proj": 3},
        alpha_pattern={r"(?i:V_PROJ)": 1, r".*1\.\w+\.(?P<x>q)_proj": 50},
    )
    add("rslora", use_rslora=True, rank_pattern={"v_proj": 2}, alpha_pattern={"q_proj": 3})
    add("regex-targets", target_modules=r".*\.layers\.\d\.(self_attn\.[qk]|mlp\.down)_proj")
    add("python-regex-targets", target_modules=r"model\.layers\.(?P<layer>\d)\.self_attn\.(?P<kind>[qo])_proj\Z")
    add("all-linear", target_modules="all-linear")
    add("excluded", target_modules="all-linear", exclude_modules=r".*layers\.0\.mlp.*")
    add("one-layer", layers_to_transform=[1], layers_pattern="layers")
    add("head", target_modules=["q_proj", "lm_head"], expect=dict(notice="lm_head"))
    add("modules-to-save", modules_to_save=["lm_head"], expect=dict(notice="lm_head", also=["lm_head"]))
    add("embedding", target_modules=["q_proj", "embed_tokens"], expect=dict(notice="embed_tokens"))
    add("trainable-tokens", trainable_token_indices=[1, 5, 7], expect=dict(notice="embed_tokens"))
    add("parameters", target_modules=[], target_parameters=["self_attn.q_proj.weight", "mlp.up_proj.weight"])
    add("bf16", dtype=torch.bfloat16)
    add("gaussian", init_lora_weights="gaussian")
    add("init-false", init_lora_weights=False)
    add("orthogonal", init_lora_weights="orthogonal")
    add("mica", init_lora_weights="mica")
    add("eva", init_lora_weights="eva", eva_config=EvaConfig(), start=eva)
    add("velora", velora_config=VeloraConfig(num_groups=4))
    add("alora", alora_invocation_tokens=[3, 4], expect=dict(notice="alora_invocation_tokens"))
    add("monteclora", monteclora_config=MontecloraConfig(num_samples=2, buffer_size=2))
    cases.add_converted("llama", "pissa-converted", init_lora_weights="pissa")
    cases.add_converted("llama", "olora-converted", init_lora_weights="olora")
    by_context = dict(init_lora_weights="corda", corda_config=CordaConfig(), prepare=corda)
    cases.add_converted("llama", "corda-converted", **by_context)
    by_gradient = dict(init_lora_weights="lora_ga", lora_ga_config=LoraGAConfig(), prepare=lora_ga)
    cases.add_converted("llama", "lora-ga-converted", **by_gradient)

    add("dora", use_dora=True, expect=refused("use_dora"))
    add("kasa", kasa_config=KasaConfig(), expect=refused("kasa_config"))
    bd = BdLoraConfig(target_modules_bd_a=["q_proj"], target_modules_bd_b=["v_proj"], nblocks=2)
    add("bdlora", use_bdlora=bd, expect=refused("use_bdlora"))
    # Without a GPTQ layer PEFT keeps the setting and does not act on it; the file still says QALoRA.
    add("qalora", use_qalora=True, expect=refused("use_qalora"))
    add("lora-bias", lora_bias=True, expect=refused("lora_bias"))
    add("layer-replication", layer_replication=[[0, 2], [0, 2]], expect=refused("layer_replication"))
    add("pissa", init_lora_weights="pissa", expect=refused("init_lora_weights"))
    add("olora", init_lora_weights="olora", expect=refused("init_lora_weights"))
    add("corda", **by_context, expect=refused("init_lora_weights"))
    add("lora-ga", **by_gradient, expect=refused("init_lora_weights"))
    loftq(cases)
    arrow(cases)
    ways_out(cases)


def loftq(cases):
    """By hand: PEFT's own start needs scipy and a quantised model, and what it leaves in the file is this entry."""
    cases.add("llama", "loftq", expect=refused("init_lora_weights"))
    path = cases.folder / "adapters/llama/loftq/adapter_config.json"
    write_json(path, read_json(path) | dict(init_lora_weights="loftq", loftq_config=dict(loftq_bits=4, loftq_iter=1)))


def arrow(cases):
    seed("llama/arrow")
    experts = [str(cases.folder / "adapters/llama" / name) for name in ("plain", "gaussian")]
    model = create_arrow_model(cases.aligned("llama"), experts, ArrowConfig(top_k=1))
    folder = cases.folder / "adapters/llama/arrow"
    model.save_pretrained(folder, selected_adapters=["arrow_router"])
    cases.record("llama", "arrow", folder / "arrow_router", **refused("arrow_config"))


def ways_out(cases):
    """Updates of refused adapters as plain LoRA adapters, which the refusals lead to."""
    seed("llama/loha")
    config = LoHaConfig(r=4, alpha=8, task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"])
    model = get_peft_model(cases.aligned("llama"), config)
    train(model)
    folder = cases.folder / "adapters/llama"
    model.save_pretrained(folder / "loha")
    cases.record("llama", "loha", folder / "loha", refused="LOHA", code="not-lora")
    for kind, convert in dict(loha=delta_as_lora, dora=merged_as_lora, bdlora=merged_as_lora).items():
        convert(cases.models / "llama-aligned", folder / kind, folder / f"{kind}-as-lora", rank=16)
        cases.record("llama", f"{kind}-as-lora", folder / f"{kind}-as-lora")


def mistral(cases):
    cases.add("mistral", "plain")
    cases.add("mistral", "bf16", target_modules="all-linear", dtype=torch.bfloat16)
    cases.add("mistral", "bf16-rslora", use_rslora=True, dtype=torch.bfloat16, r=16)


def qwen2(cases):
    cases.add("qwen2", "plain")
    cases.add("qwen2", "all-linear", target_modules="all-linear")
    cases.add("qwen2", "bias", bias="lora_only", expect=dict(notice=r"q_proj.*\.bias"))
    cases.add("qwen2", "lora-bias", lora_bias=True, expect=refused("lora_bias"))


def gemma(cases):
    cases.add("gemma", "plain")
    cases.add("gemma", "tied-head", target_modules=["q_proj", "lm_head"], expect=dict(notice="lm_head"))
    # PEFT moves the target to the embedding, and saves its adapter a second time as the head's.
    tied = dict(target_modules=["q_proj", "lm_head"], ensure_weight_tying=True)
    cases.add("gemma", "tied-adapters", **tied, expect=dict(notice="lm_head.lora_B", also=["lm_head"]))


def phi3(cases):
    cases.add("phi3", "fused", target_modules=["qkv_proj", "gate_up_proj"])
    cases.add("phi3", "all-linear", target_modules="all-linear", rank_pattern={"qkv_proj": 5})


def gpt2(cases):
    cases.add("gpt2", "c_attn", target_modules=["c_attn"], fan_in_fan_out=True)
    cases.add("gpt2", "all-linear", target_modules="all-linear")
    cases.add("gpt2", "square", target_modules=["attn.c_proj"])
    # The head comes last and turns fan_in_fan_out back to false in the file, for the Conv1D beside it too.
    cases.add("gpt2", "c_attn-and-head", target_modules=["c_attn", "lm_head"], expect=dict(notice="lm_head"))
    cases.add("gpt2", "square-and-head", target_modules=["attn.c_proj", "lm_head"], expect=dict(notice="lm_head"))


def t5(cases):
    cases.add("t5", "plain", target_modules=["q", "v"])
    cases.add("t5", "cross-attention", target_modules=r"decoder\..*(EncDecAttention\.[kv]|wo)")
    cases.add("t5", "all-linear", target_modules="all-linear")


def sample(cases, folder):
    for adapter in sorted((folder / "adapters").iterdir()):
        cases.record("sample", adapter.name, adapter, models=(folder / "base", folder / "aligned"))


if __name__ == "__main__":
    cases = Cases(Path(sys.argv[1]))
    for family in FAMILIES:
        make_pair(cases.models, family)
    for make in (llama, mistral, qwen2, gemma, phi3, gpt2, t5):
        make(cases)
    sample(cases, Path(sys.argv[2]))
    write_json(cases.folder / "cases.json", cases.cases)
    libraries = ("torch", "transformers", "peft", "safetensors")
    versions = {"Python": platform.python_version()} | {name: metadata.version(name) for name in libraries}
    write_json(cases.folder / "versions.json", versions)
