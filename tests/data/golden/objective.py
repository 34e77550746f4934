"""Makes objective.json: the policy loss and its derivatives by PyTorch autograd in float64.

Run: python objective.py > objective.json   (torch 2.x, CPU)

`cases` are of rows whose tokens all count alike. `corrected` are of rows that other weights sampled: what
`[algorithm.rollout_correction]` makes of them, and advantages of their own for last tokens.
"""

import json
import math

import torch

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)

LENGTHS = [3, 5, 1, 4, 6]
ADVANTAGES = [1.2076, -0.7246, 0.9354, -2.4749, 0.0]
WEIGHTS = [1.0, 1.0, 0.5, 1.0, 2.0]
GROUPS = [0, 0, 0, 1, 1]
PLAIN = {"clip_ratio_low": 0.2, "clip_ratio_high": 0.28, "clip_ratio_c": 3.0, "kl_loss_coef": 0.0, "entropy_coef": 0.0}
REGULARIZED = {**PLAIN, "kl_loss_coef": 0.1, "entropy_coef": 0.01}
NARROW = {"clip_ratio_low": 0.1, "clip_ratio_high": 0.1, "clip_ratio_c": 1.5, "kl_loss_coef": 0.001, "entropy_coef": -0.5}
CONFIGS = [
    PLAIN,
    REGULARIZED,
    NARROW,
    {**REGULARIZED, "loss_agg_mode": "seq-mean-token-mean"},
    {**PLAIN, "loss_agg_mode": "seq-mean-token-sum"},
    {**PLAIN, "loss_agg_mode": "seq-mean-token-sum-norm", "loss_scale_factor": 48.0},
    {**REGULARIZED, "loss_mode": "gspo", "loss_agg_mode": "seq-mean-token-mean"},
    {**PLAIN, "loss_mode": "gspo", "loss_agg_mode": "seq-mean-token-sum", "clip_ratio_low": 0.5, "clip_ratio_high": 2.0},
    {**NARROW, "loss_mode": "gspo"},
    {**REGULARIZED, "loss_mode": "cispo"},
    {**PLAIN, "loss_mode": "cispo", "clip_ratio_low": 0.9, "clip_ratio_high": 4.0},
    {**PLAIN, "loss_mode": "real"},
    {**REGULARIZED, "loss_mode": "real", "real_tau": 0.7, "loss_agg_mode": "seq-mean-token-mean"},
]


def single(tensor):
    """Values that are exact in float32, as the trainer holds them."""
    return tensor.to(torch.float32).to(torch.float64)


def rows():
    made = []
    for length in LENGTHS:
        logp = single(-2 * torch.rand(length))
        old = single(logp - 0.6 * torch.randn(length))
        reference = single(logp + 0.8 * torch.randn(length))
        made.append({"logp": logp, "old": old, "reference": reference, "entropy": single(3 * torch.rand(length))})
    # Corners: a log ratio beyond either clamp, a dual-clipped token, a k3 beyond its clamp.
    made[0]["old"][0] = -30.0
    made[1]["logp"][0] = -28.0
    made[1]["old"][1] = single(made[1]["logp"][1] - 1.5)
    made[3]["old"][2] = single(made[3]["logp"][2] - 4.0)
    made[3]["reference"][0] = single(made[3]["logp"][0] + 3.0)
    made[4]["reference"][1] = single(made[4]["logp"][1] - 40.0)
    return made


def policy_loss(row, config):
    mode, advantage = config.get("loss_mode", "vanilla"), row["advantages"]
    difference = row["logp"] - row["old"]
    if mode == "gspo":
        mean = difference[row["counts"]].mean()
        # Where tokens of a row differ, GSPO-token: the sequence's ratio, and the derivative as if it were the token's own.
        own = row["logp"] - row["logp"].detach()
        difference = mean.detach() + own if row["differ"] else mean.expand_as(difference)
    ratio = torch.exp(torch.clamp(difference, -20.0, 20.0))
    within = torch.clamp(ratio, 1 - config["clip_ratio_low"], 1 + config["clip_ratio_high"])
    if mode == "cispo":
        return -within.detach() * advantage * row["logp"]
    loss = torch.maximum(-advantage * ratio, -advantage * within)
    if mode == "vanilla":
        bounded = torch.minimum(loss, -advantage * config["clip_ratio_c"])
        loss = torch.where(advantage < 0, bounded, loss)
    return loss


def real_loss(data, config):
    """The mean over groups of the loss of the whole group; weights of rows and factors of tokens scale the derivatives."""
    tau, total = config.get("real_tau", 0.5), 0.0
    groups = sorted({row["group"] for row in data})
    for group in groups:
        members = [row for row in data if row["group"] == group]
        if len({row["right"] for row in members}) < 2:
            continue
        right, wrong, weights = [], [], []
        for row in members:
            logp, counts = row["logp"], row["counts"]
            w = row["weight"] * row["factors"]
            score = (w * logp + (1 - w) * logp.detach() - row["old"])[counts].mean()
            (right if row["right"] else wrong).append(-score / tau if row["right"] else score / tau)
            weights.append(w[counts].mean().item())
        zero = torch.zeros(())
        loss = torch.logsumexp(torch.stack([zero] + right), 0) + torch.logsumexp(torch.stack([zero] + wrong), 0)
        total = total + loss + (sum(weights) / len(members) - 1) * loss.detach()
    return total / len(groups)


def loss_of(row, config):
    """Losses of the tokens that count; a factor is of the policy's loss alone."""
    real = config.get("loss_mode") == "real"
    loss = torch.zeros_like(row["logp"]) if real else row["factors"] * policy_loss(row, config)
    difference = torch.clamp(row["reference"] - row["logp"], -20.0, 20.0)
    kl = torch.clamp(torch.exp(difference) - difference - 1, -10.0, 10.0)
    loss = loss + config["kl_loss_coef"] * kl - config["entropy_coef"] * row["entropy"]
    return row["weight"] * loss[row["counts"]]


def aggregate(losses, config):
    sums = torch.stack([loss.sum() for loss in losses])
    mode = config.get("loss_agg_mode", "token-mean")
    if mode == "token-mean":
        return torch.cat(losses).mean()
    if mode == "seq-mean-token-sum":
        return sums.mean()
    if mode == "seq-mean-token-mean":
        return torch.stack([loss.mean() for loss in losses]).mean()
    return sums.mean() / config["loss_scale_factor"]


def differentiated(data, config):
    """The loss of `data`; its derivatives are left in the leaves."""
    for row in data:
        row["logp"] = row["logp"].detach().requires_grad_()
        row["entropy"] = row["entropy"].detach().requires_grad_()
    loss = aggregate([loss_of(row, config) for row in data], config)
    if config.get("loss_mode") == "real":
        loss = loss + real_loss(data, config)
    loss.backward()
    return loss.item()


def gradient(leaf):
    return (torch.zeros_like(leaf) if leaf.grad is None else leaf.grad).tolist()


def plain_cases(data):
    for row, advantage, weight, group in zip(data, ADVANTAGES, WEIGHTS, GROUPS):
        ones = torch.ones_like(row["logp"])
        row.update(advantages=advantage * ones, factors=ones, counts=ones > 0, differ=False)
        row.update(advantage=advantage, weight=weight, group=group, right=advantage > 0)
    cases = []
    for config in CONFIGS:
        loss = differentiated(data, config)
        dlogp, dentropy = ([gradient(row[leaf]) for row in data] for leaf in ("logp", "entropy"))
        cases.append(dict(config=config, loss=loss, dlogp=dlogp, dentropy=dentropy))
    return cases


# Of corrected rows: length, advantage, that of the last token, weight, group, whether this very policy sampled it.
CORRECTED = [
    (4, 1.2, 1.7, 1.0, 0, False),
    (5, -0.7, -0.7, 1.0, 0, False),
    (1, 0.9, 0.4, 0.5, 0, False),
    (3, -2.4, 0.5, 1.0, 1, False),
    (6, 0.6, -1.1, 1.0, 1, True),
    (2, -1.1, -1.3, 2.0, 2, False),
    (4, 0.8, 0.8, 1.0, 2, False),
]
IS_TOKEN = {"decoupled": True, "rollout_is": "token", "rollout_is_threshold": 1.5}
IS_SEQUENCE = {"decoupled": True, "rollout_is": "sequence", "rollout_is_threshold": 3.0}
ICEPOP = {"rollout_rs": "token", "rollout_rs_threshold": 2.0}
MEAN_OF_MEANS = {"loss_agg_mode": "seq-mean-token-mean"}
CORRECTIONS = [
    ({}, PLAIN),
    ({"decoupled": True}, REGULARIZED),
    (IS_TOKEN, REGULARIZED),
    (IS_SEQUENCE, PLAIN),
    # The largest weight is of no weights.
    ({**ICEPOP, "rollout_is_threshold": 0.5}, REGULARIZED),
    ({**ICEPOP, "rollout_rs_threshold_lower": 0.8}, {**PLAIN, **MEAN_OF_MEANS}),
    ({**ICEPOP, **IS_TOKEN}, {**REGULARIZED, **MEAN_OF_MEANS}),
    ({"rollout_rs": "sequence", "rollout_rs_threshold": 4.0}, {**PLAIN, "loss_agg_mode": "seq-mean-token-sum"}),
    (
        {**IS_TOKEN, "rollout_rs": "sequence", "rollout_rs_threshold": 8.0, "rollout_rs_threshold_lower": 0.0},
        {**NARROW, "loss_agg_mode": "seq-mean-token-sum-norm", "loss_scale_factor": 24.0},
    ),
    ({**IS_SEQUENCE, "rollout_rs": "geometric", "rollout_rs_threshold": 1.6}, REGULARIZED),
    ({**ICEPOP, **IS_TOKEN}, {**REGULARIZED, **MEAN_OF_MEANS, "loss_mode": "gspo"}),
    ({**ICEPOP, **IS_SEQUENCE}, {**REGULARIZED, "loss_mode": "cispo"}),
    ({**ICEPOP, **IS_TOKEN}, {**REGULARIZED, "loss_mode": "real"}),
    ({"rollout_rs": "geometric", "rollout_rs_threshold": 1.6}, {**PLAIN, "loss_mode": "real"}),
]


def corrected_rows():
    draw = torch.Generator().manual_seed(11)
    normal = lambda length: torch.randn(length, generator=draw)
    made = []
    for length, every, last, weight, group, exact in CORRECTED:
        behaviour = single(-0.2 - 2 * torch.rand(length, generator=draw))
        start = behaviour if exact else single(behaviour + 0.5 * normal(length))
        logp = single(start + 0.25 * normal(length))
        reference = single(logp + 0.8 * normal(length))
        entropy = single(3 * torch.rand(length, generator=draw))
        advantages = torch.full((length,), every)
        advantages[-1] = last
        row = dict(logp=logp, behaviour=behaviour, start=start, reference=reference, entropy=entropy, exact=exact)
        row.update(advantage={"every": every, "last": last}, advantages=advantages, weight=weight, group=group)
        made.append(dict(row, right=every > 0, differ=True))
    # Corners: tokens of which a mask takes some, a row of which it takes all, a log ratio beyond the clamp.
    made[0]["start"][1] = single(made[0]["behaviour"][1] + 1.5)
    made[0]["logp"][1] = single(made[0]["start"][1] + 0.1)
    made[2]["start"][0] = single(made[2]["behaviour"][0] + 1.6)
    made[2]["logp"][0] = single(made[2]["start"][0] - 0.1)
    made[3]["start"][0], made[3]["logp"][0] = -28.0, -27.5
    return made


def correction_factors(row, correction):
    """What each token's loss is multiplied by; None if nothing of the row stays."""

    def ratio(level, token):
        log_ratio = [(s - b).item() for s, b in zip(row["start"], row["behaviour"])]
        if level == "token":
            log_ratio = log_ratio[token]
        else:
            log_ratio = math.fsum(log_ratio) / (len(log_ratio) if level == "geometric" else 1)
        return math.exp(max(-20.0, min(20.0, log_ratio)))

    out = []
    for token in range(len(row["start"])):
        kept, weight = True, 1.0
        if "rollout_rs" in correction:
            high = correction["rollout_rs_threshold"]
            low = correction.get("rollout_rs_threshold_lower", 1 / high)
            found = ratio(correction["rollout_rs"], token)
            assert all(abs(found - edge) > 1e-6 * found for edge in (low, high)), "another seed: a ratio lies on a threshold"
            kept = low <= found <= high
        if "rollout_is" in correction:
            weight = min(ratio(correction["rollout_is"], token), correction["rollout_is_threshold"])
        out.append(weight if kept else 0.0)
    return out if any(out) else None


def figures(data, made):
    """What is reported of the rows that were not sampled by this very policy, those left out included."""
    pairs = [(row, factors or [0.0] * len(row["start"])) for row, factors in zip(data, made) if not row["exact"]]
    flat = [factor for _, factors in pairs for factor in factors]
    kept = sum(factor > 0 for factor in flat)
    return {
        "corrected_rows": len(pairs),
        "rollout_is_mean": math.fsum(flat) / max(kept, 1),
        "rollout_is_max": max(flat),
        "rollout_rs_masked_fraction": 1 - kept / len(flat),
        "off_policy_log_ratio": sum((row["start"] - row["behaviour"]).mean().item() for row, _ in pairs) / len(pairs),
    }


def corrected_cases(data):
    cases = []
    for correction, config in CORRECTIONS:
        made = [correction_factors(row, correction) for row in data]
        kept = []
        for at, (row, factors) in enumerate(zip(data, made)):
            if factors is None and not row["exact"]:
                continue
            ones = torch.ones_like(row["logp"])
            row["factors"] = ones if row["exact"] else torch.tensor(factors)
            row["counts"] = row["factors"] > 0
            # The policy that the ratio of the loss is taken to; of an exact row both are one.
            row["old"] = row["start"] if correction.get("decoupled") else row["behaviour"]
            kept.append((at, row, None if row["exact"] else factors))
        loss = differentiated([row for _, row, _ in kept], config)
        rows = [
            dict(row=at, factors=factors, dlogp=gradient(row["logp"]), dentropy=gradient(row["entropy"]))
            for at, row, factors in kept
        ]
        cases.append(dict(correction=correction, config=config, loss=loss, kept=rows, figures=figures(data, made)))
    # Every way out of the loss is taken: a token, a row, nothing.
    assert any(0.0 in (row["factors"] or []) for case in cases for row in case["kept"])
    assert any(len(case["kept"]) < len(data) for case in cases) and any(len(case["kept"]) == len(data) for case in cases)
    return cases


def written(rows, keys):
    lists = lambda value: value.tolist() if torch.is_tensor(value) else value
    return [{key: lists(row[key]) for key in keys} for row in rows]


def main():
    data, corrected = rows(), corrected_rows()
    cases, corrected_of = plain_cases(data), corrected_cases(corrected)
    shared = ["reference", "entropy", "advantage", "weight", "group"]
    made = {
        "torch": torch.__version__,
        "rows": written(data, ["logp", "old", *shared]),
        "cases": cases,
        "corrected": {"rows": written(corrected, ["logp", "behaviour", "start", *shared, "exact"]), "cases": corrected_of},
    }
    print(json.dumps(made, indent=1))


main()
