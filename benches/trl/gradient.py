"""Loss and gradient of TRL's GRPO on one batch, in f32 on the CPU: what `cargo xtask trl --gradients` holds ours against.

Two groups of prompts and responses of different lengths, padded as TRL pads them; old logprobs are the model's own,
moved so far that some tokens are clipped. `batch.json` and `gradient.safetensors` go to the folder.
"""

import argparse
import json
import os

import torch
from grpo import settings
from safetensors.torch import save_file
from step import dequantized, prompts
from trl import GRPOTrainer

# Tokens of each group's prompt, of its responses, and the advantages: a group of 3 right of 4, one of 1 of 4.
GROUPS = [
    (40, [24, 7, 16, 1], [0.5, 0.5, 0.5, -1.5]),
    (33, [12, 24, 3, 19], [1.5, -0.5, -0.5, -0.5]),
]
MOVED = 0.3


def padded(rows, left):
    """Token ids and mask of rows of different lengths."""
    width = max(len(row) for row in rows)
    fill = [[0] * (width - len(row)) for row in rows]
    ids = [pad + row if left else row + pad for row, pad in zip(rows, fill)]
    mask = [[0] * len(pad) + [1] * len(row) if left else [1] * len(row) + [0] * len(pad) for row, pad in zip(rows, fill)]
    return torch.tensor(ids), torch.tensor(mask)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", required=True, help="the model's GGUF file")
    parser.add_argument("--folder", required=True, help="where its f32 form is kept")
    given = parser.parse_args()
    torch.manual_seed(11)
    model, tokenizer = dequantized(given.gguf, given.folder)
    rows = sum(len(responses) for _, responses, _ in GROUPS)
    config = settings(
        output_dir=os.path.join(given.folder, "trl-out"),
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=1,
        num_generations=4,
        max_completion_length=24,
    )
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config,
        train_dataset=prompts(tokenizer, 2, 8),
        processing_class=tokenizer,
    )
    trainer.current_gradient_accumulation_steps = 1
    model = trainer.model
    model.train()

    draw = lambda count: torch.randint(100, model.config.vocab_size, (count,)).tolist()  # noqa: E731
    sequences = []
    for group, (length, responses, advantages) in enumerate(GROUPS):
        prompt = draw(length)
        for response, advantage in zip(responses, advantages):
            sequences.append({"group": group, "prompt": prompt, "response": draw(response), "advantage": advantage})
    prompt_ids, prompt_mask = padded([row["prompt"] for row in sequences], left=True)
    completion_ids, completion_mask = padded([row["response"] for row in sequences], left=False)
    ids, mask = torch.cat([prompt_ids, completion_ids], 1), torch.cat([prompt_mask, completion_mask], 1)
    with torch.no_grad():
        own = trainer._get_per_token_logps_and_entropies(model, ids, mask, completion_ids.size(1))[0]
    old = own + MOVED * torch.randn_like(own)
    inputs = {
        "prompt_ids": prompt_ids,
        "prompt_mask": prompt_mask,
        "completion_ids": completion_ids,
        "completion_mask": completion_mask,
        "advantages": torch.tensor([row["advantage"] for row in sequences]),
        "old_per_token_logps": old,
        "num_items_in_batch": completion_mask.sum(),
    }
    loss = trainer._compute_loss(model, inputs)
    loss.backward()
    for row, own, old in zip(sequences, own, old):
        count = len(row["response"])
        row["logprobs"], row["old"] = own[:count].tolist(), old[:count].tolist()
    with open(os.path.join(given.folder, "batch.json"), "w") as out:
        json.dump({"loss": loss.item(), "rows": sequences}, out)
    gradient = {name: value.grad.contiguous() for name, value in model.named_parameters()}
    save_file(gradient, os.path.join(given.folder, "gradient.safetensors"))


if __name__ == "__main__":
    main()
