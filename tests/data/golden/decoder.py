"""Makes decoder.json and decoder.safetensors: logits, scores and gradients of tiny decoders, from transformers.

    python decoder.py          (needs torch, transformers, safetensors, numpy; CPU)

Parameters are not stored: element i of the tensor called `name` is a hash of (name, i), which the Rust test computes
alike. The loss is sum(c * logp + e * H) over the scored tokens at each sequence's temperature.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

SHAPE = dict(
    vocab_size=37,
    hidden_size=32,
    intermediate_size=36,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    attn_implementation="eager",
    dtype="float32",
)
LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=10000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=64,
)
CONFIGS = {
    "llama": LlamaConfig(**SHAPE, rope_parameters=LLAMA3, tie_word_embeddings=True),
    "mistral": MistralConfig(
        **SHAPE,
        head_dim=8,
        rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0),
        sliding_window=7,
        tie_word_embeddings=False,
    ),
    "qwen2": Qwen2Config(
        **SHAPE, rope_parameters=dict(rope_type="default", rope_theta=1e6), tie_word_embeddings=True
    ),
    "qwen3": Qwen3Config(
        **SHAPE, head_dim=12, rope_parameters=dict(rope_type="default", rope_theta=1e6), tie_word_embeddings=False
    ),
}


def hashed(name, count):
    seed = 2166136261
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) % 2**32
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(seed)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float32) / np.float32(2**24) - np.float32(0.5)


def fill(model):
    for name, parameter in model.named_parameters():
        values = hashed(name, parameter.numel()) * np.float32(0.5)
        if name.endswith("norm.weight"):
            values = np.float32(1) + values
        parameter.data = torch.from_numpy(values.reshape(parameter.shape))


def sequence(stream, length, first, temperature):
    tokens = ((hashed(f"tokens{stream}", length) + 0.5) * SHAPE["vocab_size"]).astype(int)
    scored = [t for t in range(first, length) if t % 5 != 0]
    c = hashed(f"c{stream}", len(scored)) * np.float32(4)
    e = hashed(f"e{stream}", len(scored)) * np.float32(2)
    return dict(tokens=tokens.tolist(), scored=scored, temperature=temperature, dlogprob=c.tolist(), dentropy=e.tolist())


SEQUENCES = [sequence(0, 39, 4, 0.7), sequence(1, 18, 1, 1.0), sequence(2, 21, 9, 1.5)]


def run(name, config, tensors):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    fill(model)
    loss, scores = 0.0, []
    for index, s in enumerate(SEQUENCES):
        logits = model(torch.tensor([s["tokens"]]), use_cache=False).logits[0]
        tensors[f"{name}/logits/{index}"] = logits.detach().clone()
        at = torch.tensor(s["scored"])
        logp = torch.log_softmax(logits[at - 1] / s["temperature"], -1)
        entropy = -(logp.exp() * logp).sum(-1)
        picked = logp.gather(1, torch.tensor(s["tokens"])[at][:, None])[:, 0]
        loss = loss + (torch.tensor(s["dlogprob"]) * picked + torch.tensor(s["dentropy"]) * entropy).sum()
        scores.append(dict(logprob=picked.tolist(), entropy=entropy.tolist()))
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
        tensors[f"{name}/grad/{parameter_name}"] = parameter.grad.contiguous()
    return dict(
        family=name,
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        max_position_embeddings=config.max_position_embeddings,
        rms_norm_eps=config.rms_norm_eps,
        rope=dict(
            theta=config.rope_parameters["rope_theta"],
            scaling=None
            if config.rope_parameters["rope_type"] == "default"
            else {k: v for k, v in config.rope_parameters.items() if k != "rope_theta"},
        ),
        tie_word_embeddings=config.tie_word_embeddings,
        qkv_bias=name == "qwen2",
        qk_norm=name == "qwen3",
        sliding_window=config.sliding_window if name == "mistral" else None,
    ), scores


def main():
    folder, tensors, models = Path(__file__).parent, {}, []
    for name, config in CONFIGS.items():
        shape, scores = run(name, config, tensors)
        models.append(dict(config=shape, scores=scores))
    save_file(tensors, folder / "decoder.safetensors")
    (folder / "decoder.json").write_text(json.dumps(dict(sequences=SEQUENCES, models=models), indent=1) + "\n")


if __name__ == "__main__":
    main()
