"""Makes adamw.json: a few steps of torch.optim.AdamW with gradient clipping in float32.

Run: python adamw.py > adamw.json   (torch 2.x, CPU)
"""

import json

import torch

torch.manual_seed(11)

CONFIG = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.1, "grad_clip": 1.0}
STEPS = 6


def main():
    matrix = torch.nn.Parameter(torch.randn(3, 4))
    vector = torch.nn.Parameter(torch.randn(5))
    start = [matrix.detach().flatten().tolist(), vector.detach().tolist()]
    optimizer = torch.optim.AdamW(
        [{"params": [matrix], "weight_decay": CONFIG["weight_decay"]}, {"params": [vector], "weight_decay": 0.0}],
        lr=CONFIG["lr"],
        betas=(CONFIG["beta1"], CONFIG["beta2"]),
        eps=CONFIG["eps"],
    )
    steps = []
    for step in range(STEPS):
        # Norms on both sides of the clip, and one gradient that is almost zero.
        scale = [0.1, 3.0, 1e-6, 10.0, 0.3, 1.0][step]
        matrix.grad = scale * torch.randn(3, 4)
        vector.grad = scale * torch.randn(5)
        grads = [matrix.grad.flatten().tolist(), vector.grad.tolist()]
        norm = torch.nn.utils.clip_grad_norm_([matrix, vector], CONFIG["grad_clip"]).item()
        optimizer.step()
        steps.append(
            {"grads": grads, "norm": norm, "params": [matrix.detach().flatten().tolist(), vector.detach().tolist()]}
        )
    print(json.dumps({"torch": torch.__version__, "config": CONFIG, "start": start, "steps": steps}, indent=1))


main()
