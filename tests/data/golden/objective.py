"""Makes objective.json: the policy loss and its derivatives by PyTorch autograd in float64.

Run: python objective.py > objective.json   (torch 2.x, CPU)
"""

import json

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


def policy_loss(row, advantage, config):
    mode = config.get("loss_mode", "vanilla")
    difference = row["logp"] - row["old"]
    if mode == "gspo":
        difference = difference.mean().expand_as(difference)
    ratio = torch.exp(torch.clamp(difference, -20.0, 20.0))
    within = torch.clamp(ratio, 1 - config["clip_ratio_low"], 1 + config["clip_ratio_high"])
    if mode == "cispo":
        return -within.detach() * advantage * row["logp"]
    loss = torch.maximum(-advantage * ratio, -advantage * within)
    if mode == "vanilla" and advantage < 0:
        loss = torch.minimum(loss, torch.full_like(loss, -advantage * config["clip_ratio_c"]))
    return loss


def real_loss(data, config):
    """The mean over groups of the loss of the whole group; a weight scales the derivatives of its row."""
    tau, total = config.get("real_tau", 0.5), 0.0
    for group in set(GROUPS):
        members = [i for i, of in enumerate(GROUPS) if of == group]
        right = [i for i in members if ADVANTAGES[i] > 0]
        wrong = [i for i in members if ADVANTAGES[i] <= 0]
        if not right or not wrong:
            continue
        score = {}
        for i in members:
            logp, w = data[i]["logp"], WEIGHTS[i]
            score[i] = (w * logp + (1 - w) * logp.detach() - data[i]["old"]).mean()
        zero = torch.zeros(())
        loss = torch.logsumexp(torch.stack([zero] + [-score[i] / tau for i in right]), 0)
        loss = loss + torch.logsumexp(torch.stack([zero] + [score[i] / tau for i in wrong]), 0)
        mean_weight = sum(WEIGHTS[i] for i in members) / len(members)
        total = total + loss + (mean_weight - 1) * loss.detach()
    return total / len(set(GROUPS))


def loss_of(row, advantage, config):
    real = config.get("loss_mode") == "real"
    loss = torch.zeros_like(row["logp"]) if real else policy_loss(row, advantage, config)
    difference = torch.clamp(row["reference"] - row["logp"], -20.0, 20.0)
    kl = torch.clamp(torch.exp(difference) - difference - 1, -10.0, 10.0)
    return loss + config["kl_loss_coef"] * kl - config["entropy_coef"] * row["entropy"]


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


def main():
    data = rows()
    cases = []
    for config in CONFIGS:
        for row in data:
            row["logp"] = row["logp"].detach().requires_grad_()
            row["entropy"] = row["entropy"].detach().requires_grad_()
        losses = [w * loss_of(row, a, config) for row, a, w in zip(data, ADVANTAGES, WEIGHTS)]
        loss = aggregate(losses, config)
        if config.get("loss_mode") == "real":
            loss = loss + real_loss(data, config)
        loss.backward()
        cases.append(
            {
                "config": config,
                "loss": loss.item(),
                "dlogp": [row["logp"].grad.tolist() for row in data],
                "dentropy": [
                    (torch.zeros_like(row["logp"]) if row["entropy"].grad is None else row["entropy"].grad).tolist()
                    for row in data
                ],
            }
        )
    inputs = [
        {
            "logp": row["logp"].tolist(),
            "old": row["old"].tolist(),
            "reference": row["reference"].tolist(),
            "entropy": row["entropy"].tolist(),
            "advantage": advantage,
            "weight": weight,
            "group": group,
        }
        for row, advantage, weight, group in zip(data, ADVANTAGES, WEIGHTS, GROUPS)
    ]
    print(json.dumps({"torch": torch.__version__, "rows": inputs, "cases": cases}, indent=1))


main()
