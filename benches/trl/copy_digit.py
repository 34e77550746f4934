"""Copying a digit, learned from nothing by TRL on the CPU: what svs is compared with by `cargo xtask trl --tiny`.

A random Qwen2 of half a million parameters sees "7>" and is to write "77777777". `--make` saves the model and the
problems that both sides begin with; without it TRL trains the model. The reward is OpenAI's `fuzzy_match` with the
eight digits, which svs has as a grader: 2 * digits right / (characters written + 8). One line of JSON per step.
"""

import argparse
import json
import os
import random
import resource
import string
import time

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["WANDB_DISABLED"] = "true"

import torch  # noqa: E402  after the environment
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM  # noqa: E402

LENGTH = 8
PROBLEMS = 4096


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, help="model and problems of this seed")
    parser.add_argument("--make", action="store_true", help="make them and stop")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=110)
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def make(folder, seed):
    """The start of both sides: random weights in f32, a tokenizer of characters, the problems in their order."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {"<pad>": 0, "<eos>": 1, "<unk>": 2}
    for char in list("0123456789,:+-=>?.") + list(string.ascii_lowercase):
        vocabulary[char] = len(vocabulary)
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    split = pre_tokenizers.Split("", "isolated")
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.Sequence([split, bytes_of]), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    tokenizer.chat_template = "{{ messages[0].content }}"
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(vocabulary),
            hidden_size=128,
            num_attention_heads=4,
            num_key_value_heads=2,
            num_hidden_layers=2,
            intermediate_size=512,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=1,
            pad_token_id=0,
        )
    ).float()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    draw = random.Random(seed)
    with open(os.path.join(folder, "problems.jsonl"), "w") as out:
        for _ in range(PROBLEMS):
            digit = str(draw.randrange(10))
            out.write(json.dumps({"question": digit + ">", "answer": digit * LENGTH}) + "\n")


def train(given):
    from datasets import Dataset
    from grpo import settings
    from trl import GRPOTrainer

    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    with open(os.path.join(given.folder, "problems.jsonl")) as lines:
        rows = [json.loads(line) for line in lines]
    config = settings(
        output_dir=os.path.join(given.folder, "trl-out"),
        per_device_train_batch_size=given.problems * given.samples,
        gradient_accumulation_steps=1,
        num_generations=given.samples,
        max_completion_length=LENGTH,
        max_steps=given.steps,
        learning_rate=given.lr,
        remove_unused_columns=False,
        seed=given.seed,
    )

    rewards = []

    def reward(completions, answer, **_):
        pairs = zip(completions, answer)
        of_batch = [2 * text.count(digits[0]) / (len(text) + LENGTH) for text, digits in pairs]
        rewards.append(sum(of_batch) / len(of_batch))
        return of_batch

    class Told(GRPOTrainer):
        def log(self, logs, *rest, **named):
            now = time.perf_counter()
            if "loss" in logs:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                told = {"step_seconds": now - self.last, "reward": rewards[-1], "rss_peak_bytes": peak}
                print(json.dumps(told), flush=True)
            self.last = now
            return super().log(logs, *rest, **named)

    trainer = Told(
        model=AutoModelForCausalLM.from_pretrained(given.folder, dtype=torch.float32),
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_list([{"prompt": row["question"], "answer": row["answer"]} for row in rows]),
        processing_class=AutoTokenizer.from_pretrained(given.folder, padding_side="left"),
    )
    trainer.last = time.perf_counter()
    trainer.train()


if __name__ == "__main__":
    given = arguments()
    if given.make:
        make(given.folder, given.seed)
    else:
        train(given)
