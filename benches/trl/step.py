"""GRPO steps of TRL on the CPU, timed phase by phase: what svs is compared with by `cargo xtask trl`.

Same model, group shape, lengths, precision and optimizer as `svs bench train`; every response has its full
length, and rewards alternate within a group. One line of JSON per step goes to stdout.
"""

import argparse
import json
import os
import random
import resource
import time

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["WANDB_DISABLED"] = "true"

import torch  # noqa: E402  after the environment
from datasets import Dataset  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from grpo import settings  # noqa: E402
from trl import GRPOTrainer  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", required=True, help="the model's GGUF file")
    parser.add_argument("--folder", required=True, help="where its f32 form is kept")
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--response-tokens", type=int, default=128)
    parser.add_argument("--accumulation", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2, help="the first warms up")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def dequantized(gguf, folder):
    """TRL refuses a model that was read from GGUF: it is saved as f32 once."""
    if not os.path.exists(os.path.join(folder, "config.json")):
        source, name = os.path.split(gguf)
        model = AutoModelForCausalLM.from_pretrained(source, gguf_file=name, dtype=torch.float32)
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.hf_quantizer, model.is_quantized = None, False
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(source, gguf_file=name).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), tokenizer


def prompts(tokenizer, count, length):
    """Texts of exactly so many tokens."""
    words = [" " + word for word in "one two three four five six seven eight nine ten apple tree house river".split()]
    words = [word for word in words if len(tokenizer(word, add_special_tokens=False)["input_ids"]) == 1]
    made, draw = [], random.Random(0)
    while len(made) < count:
        text = "".join(draw.choice(words) for _ in range(length))
        if len(tokenizer(text)["input_ids"]) == length:
            made.append({"prompt": text})
    return Dataset.from_list(made)


def main():
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model, tokenizer = dequantized(given.gguf, given.folder)
    rows = given.problems * given.samples
    config = settings(
        output_dir=os.path.join(given.folder, "trl-out"),
        per_device_train_batch_size=rows // given.accumulation,
        gradient_accumulation_steps=given.accumulation,
        num_generations=given.samples,
        max_completion_length=given.response_tokens,
        generation_kwargs={"min_new_tokens": given.response_tokens},
        max_steps=given.steps,
        learning_rate=1e-6,
    )

    class Timed(GRPOTrainer):
        generation = 0.0

        def _generate_and_score_completions(self, inputs):
            began = time.perf_counter()
            done = super()._generate_and_score_completions(inputs)
            self.generation += time.perf_counter() - began
            lengths = done["completion_mask"].sum(1)
            assert bool((lengths == given.response_tokens).all()), lengths
            return done

        def log(self, logs, *rest, **named):
            now = time.perf_counter()
            step = now - self.last
            if "loss" in logs:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                figures = {
                    "rollout_seconds": self.generation,
                    "update_seconds": step - self.generation,
                    "step_seconds": step,
                    "rss_peak_bytes": peak,
                }
                print(json.dumps(figures), flush=True)
            self.generation, self.last = 0.0, now
            return super().log(logs, *rest, **named)

    trainer = Timed(
        model=model,
        reward_funcs=lambda completions, **_: [float(at % 2) for at in range(len(completions))],
        args=config,
        train_dataset=prompts(tokenizer, given.problems * given.steps, given.prompt_tokens),
        processing_class=tokenizer,
    )
    trainer.last = time.perf_counter()
    trainer.train()


if __name__ == "__main__":
    main()
