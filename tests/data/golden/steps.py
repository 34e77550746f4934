"""Makes steps.json: ten optimizer steps of the embedded tiny policy on one fixed batch, in PyTorch float64.

    python steps.py     (needs torch 2.x, safetensors; CPU, minutes)

The decoder is written out here, because the library's own computes its norms and its softmax in float32 whatever the
parameters are. Each step is forward, clipped loss, backward, clip_grad_norm_ and torch.optim.AdamW on the whole batch. The
behaviour logprobs are those of the initial weights, rounded to float32; the KL reference are the initial weights. Kept are
the figures of each step and, after the first and the last one, how far each tensor has moved and some of its values.
`rounding` says how far the same steps in float32 come from these: what a test must allow an implementation in float32.
"""

import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

FOLDER = Path(__file__).parent
POLICY = FOLDER / "../../../assets/tiny-policy"
STEPS, SAMPLES = 10, 6
# Largest share of a tensor's move that float32 may be off, after so many steps: with more, a test would show little.
LARGEST = {1: 2e-3, STEPS: 2e-2}
PLAIN = {
    "objective": {
        "clip_ratio_low": 0.2,
        "clip_ratio_high": 0.28,
        "clip_ratio_c": 3.0,
        "kl_loss_coef": 0.0,
        "entropy_coef": 0.0,
    },
    "optim": {"lr": 1e-4, "beta1": 0.9, "beta2": 0.99, "eps": 1e-5, "weight_decay": 0.1, "grad_clip": 0.5},
}
REGULARIZED = {
    "objective": {
        "clip_ratio_low": 0.1,
        "clip_ratio_high": 0.1,
        "clip_ratio_c": 1.5,
        "kl_loss_coef": 0.2,
        "entropy_coef": 0.01,
    },
    "optim": {
        "lr": 2e-4,
        "beta1": 0.8,
        "beta2": 0.999,
        "eps": 1e-5,
        "weight_decay": 0.5,
        "grad_clip": 1.0,
        "warmup_steps": 3,
        "decay": "cosine",
        "total_steps": 12,
        "min_lr_ratio": 0.1,
    },
}
# Right and wrong ones in each group; the third has nothing to learn from, but its tokens count in the mean.
REWARDS = [[1, 0, 0, 1], [0, 0, 1, 0], [1, 1, 1, 1], [1, 0, 1, 1]]
TEMPERATURES = [1.0, 0.8, 1.0, 1.2]


def rms_norm(x, weight, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def rotate(x, theta):
    """Rotary positions on the last axis of [heads, tokens, dim], halves paired."""
    half = x.shape[-1] // 2
    frequency = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def logits(p, c, tokens):
    eps, dim, n = c["rms_norm_eps"], c["head_dim"], len(tokens)
    repeat = c["num_attention_heads"] // c["num_key_value_heads"]
    mask = torch.full((n, n), -math.inf).triu(1)
    x = p["model.embed_tokens.weight"][tokens]
    for layer in range(c["num_hidden_layers"]):
        w = lambda name: p[f"model.layers.{layer}.{name}.weight"]
        h = rms_norm(x, w("input_layernorm"), eps)
        heads = lambda name: (h @ w(f"self_attn.{name}_proj").T).view(n, -1, dim).transpose(0, 1)
        q = rotate(rms_norm(heads("q"), w("self_attn.q_norm"), eps), c["rope_theta"])
        k = rotate(rms_norm(heads("k"), w("self_attn.k_norm"), eps), c["rope_theta"]).repeat_interleave(repeat, 0)
        v = heads("v").repeat_interleave(repeat, 0)
        weights = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(dim) + mask.to(x.dtype), -1)
        x = x + (weights @ v).transpose(0, 1).reshape(n, -1) @ w("self_attn.o_proj").T
        h = rms_norm(x, w("post_attention_layernorm"), eps)
        gate = h @ w("mlp.gate_proj").T
        x = x + (gate * torch.sigmoid(gate) * (h @ w("mlp.up_proj").T)) @ w("mlp.down_proj").T
    return rms_norm(x, p["model.norm.weight"], eps) @ p["model.embed_tokens.weight"].T


def scores(p, c, row):
    """Logprob and entropy of each response token."""
    tokens = torch.tensor(row["prompt"] + row["response"])
    first = len(row["prompt"])
    logp = torch.log_softmax(logits(p, c, tokens)[first - 1 : -1] / row["temperature"], -1)
    return logp.gather(1, tokens[first:, None])[:, 0], -(logp.exp() * logp).sum(-1)


def batch(p, c, seed):
    """Groups whose members share a prompt; responses are drawn from the policy, so that they are what it may say."""
    draw = torch.Generator().manual_seed(seed)
    rows = []
    for group, (rewards, temperature) in enumerate(zip(REWARDS, TEMPERATURES)):
        prompt = torch.randint(1, c["vocab_size"], (5 + 3 * group,), generator=draw).tolist()
        for member, reward in enumerate(rewards):
            row = dict(group=group, prompt=prompt, response=[], temperature=temperature, reward=float(reward), weight=1.0)
            for _ in range(4 + (5 * member + group) % 9):
                last = logits(p, c, torch.tensor(prompt + row["response"]))[-1]
                row["response"].append(torch.multinomial(torch.softmax(last / temperature, -1), 1, generator=draw).item())
            rows.append(row)
    rows[1]["weight"], rows[6]["weight"] = 0.5, 2.0
    for row in rows:
        row["logprobs"] = scores(p, c, row)[0].to(torch.float32).tolist()
    return rows


def advantages(rows):
    out = []
    for row in rows:
        rewards = torch.tensor([r["reward"] for r in rows if r["group"] == row["group"]], dtype=torch.float64)
        out.append(((row["reward"] - rewards.mean()) / (rewards.std() + 1e-6)).item())
    return out


def learning_rate(optim, done):
    warmup = optim.get("warmup_steps", 0)
    if done < warmup:
        return optim["lr"] * (done + 1) / warmup
    if optim.get("decay") != "cosine":
        return optim["lr"]
    share = 0.5 * (1 + math.cos(math.pi * (done - warmup) / (optim["total_steps"] - warmup)))
    return optim["lr"] * (optim["min_lr_ratio"] + (1 - optim["min_lr_ratio"]) * share)


def one_step(p, c, rows, each, reference, objective):
    """The loss of the batch, sums over the tokens that the trainer reports on, and how far the loss is from its bends."""
    low, high, ceiling = 1 - objective["clip_ratio_low"], 1 + objective["clip_ratio_high"], objective["clip_ratio_c"]
    regularized = objective["kl_loss_coef"] != 0 or objective["entropy_coef"] != 0
    count = sum(len(row["response"]) for row in rows)
    loss, figures, margins = 0.0, dict(tokens=0, pg_loss=0.0, kl_loss=0.0, entropy=0.0, clipped=0), []
    for row, advantage, ref in zip(rows, each, reference):
        logp, entropy = scores(p, c, row)
        difference = logp - torch.tensor(row["logprobs"], dtype=logp.dtype)
        ratio = torch.exp(torch.clamp(difference, -20.0, 20.0))
        policy = torch.maximum(-advantage * ratio, -advantage * ratio.clamp(low, high))
        if advantage < 0:
            policy = torch.minimum(policy, torch.full_like(policy, -advantage * ceiling))
        difference = torch.clamp(ref - logp, -20.0, 20.0)
        k3 = torch.exp(difference) - difference - 1
        if objective["kl_loss_coef"] != 0:
            margins.append(k3.detach() / 10.0 - 1)
        k3 = torch.clamp(k3, max=10.0)
        token = policy + objective["kl_loss_coef"] * k3 - objective["entropy_coef"] * entropy
        loss = loss + row["weight"] * token.sum() / count
        if advantage != 0 or regularized:
            figures["tokens"] += len(row["response"])
            figures["pg_loss"] += row["weight"] * policy.sum().item()
            figures["kl_loss"] += row["weight"] * k3.sum().item() * (objective["kl_loss_coef"] != 0)
            figures["entropy"] += entropy.sum().item()
            figures["clipped"] += int(((ratio > high) if advantage > 0 else (ratio < low)).sum()) if advantage else 0
        # Where the derivative jumps: a ratio on an edge would be on either side of it in another precision.
        edges = [] if advantage == 0 else [high] if advantage > 0 else [low, ceiling]
        margins.extend(ratio.detach() / edge - 1 for edge in edges)
    return loss, figures, torch.cat(margins).to(torch.float64)


def train(start, c, rows, case, dtype):
    p = {name: value.to(dtype).clone().requires_grad_() for name, value in start.items()}
    optim = case["optim"]
    matrices = [value for value in p.values() if value.ndim > 1]
    vectors = [value for value in p.values() if value.ndim == 1]
    optimizer = torch.optim.AdamW(
        [dict(params=matrices, weight_decay=optim["weight_decay"]), dict(params=vectors, weight_decay=0.0)],
        lr=optim["lr"],
        betas=(optim["beta1"], optim["beta2"]),
        eps=optim["eps"],
    )
    each = advantages(rows)
    reference = [scores(p, c, row)[0].detach() for row in rows]
    steps, moved, every_margin = [], {}, []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss, figures, margins = one_step(p, c, rows, each, reference, case["objective"])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(p.values(), optim["grad_clip"]).item()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(optim, step)
        optimizer.step()
        count = figures.pop("tokens")
        means = {name: value / count for name, value in figures.items()}
        steps.append(dict(means, grad_norm=norm, lr=learning_rate(optim, step)))
        every_margin.append(margins)
        if step + 1 in (1, STEPS):
            moved[step + 1] = {name: value.detach().to(torch.float64) - start[name] for name, value in p.items()}
    return steps, moved, torch.cat(every_margin)


def kept(moved, single):
    """Length and samples of what a tensor has moved by, and how far float32 is from them: in length, and in any value."""
    tensors = []
    for name, change in moved.items():
        at = [(7919 * i + 13) % change.numel() for i in range(SAMPLES)]
        flat, apart = change.flatten(), (single[name] - change).flatten()
        rounding = dict(distance=apart.norm().item(), change=apart.abs().max().item())
        sampled = [flat[i].item() for i in at]
        tensors.append(dict(name=name, distance=flat.norm().item(), at=at, change=sampled, rounding=rounding))
    return tensors


class OnEdge(Exception):
    """A ratio is so near to the edge of a clip that another precision may be on its other side."""


def made(start, c, rows, case):
    steps, moved, margins = train(start, c, rows, case, torch.float64)
    single_steps, single_moved, single_margins = train(start, c, rows, case, torch.float32)
    names = ["pg_loss", "kl_loss", "entropy", "grad_norm"]
    rounding = {name: max(abs(a[name] - b[name]) for a, b in zip(single_steps, steps)) for name in names}
    # As far as float32 comes from float64, and ten times as far, everything stays on its side of each edge.
    share = ((single_margins - margins).abs() / margins.abs()).max().item()
    print("rounding", rounding, "; share of the way to the nearest edge", share, file=sys.stderr)
    if share > 0.1 or any(a["clipped"] != b["clipped"] for a, b in zip(single_steps, steps)):
        raise OnEdge
    for step in steps:
        print(step, file=sys.stderr)
    for at, change in moved.items():
        worst = max(((single_moved[at][name] - change[name]).norm() / change[name].norm()).item() for name in change)
        print("after", at, "steps a tensor in float32 is off by", worst, file=sys.stderr)
        assert worst < LARGEST[at]
    after = {str(at): kept(moved[at], single_moved[at]) for at in moved}
    return dict(**case, steps=steps, rounding=rounding, after=after)


def main():
    c = json.loads((POLICY / "config.json").read_text())
    start = {name: value.to(torch.float64) for name, value in load_file(POLICY / "model.safetensors").items()}
    for seed in range(5, 50):
        with torch.no_grad():
            rows = batch(start, c, seed)
        try:
            cases = [made(start, c, rows, case) for case in (PLAIN, REGULARIZED)]
            break
        except OnEdge:
            print("seed", seed, "has a ratio too near to where the loss bends", file=sys.stderr)
    else:
        sys.exit("every seed has a ratio too near to where the loss bends")
    assert all(any(step["clipped"] > 0 for step in case["steps"]) for case in cases), "nothing is ever clipped"
    text = json.dumps(dict(torch=torch.__version__, seed=seed, rows=rows, cases=cases))
    (FOLDER / "steps.json").write_text(text.replace("}, {", "},\n{") + "\n")


if __name__ == "__main__":
    main()
