"""Makes smollm2_golden.json: what transformers (PyTorch, CPU, f32) says about SmolLM2-135M-Instruct's GGUF.

    python smollm2_golden.py --gguf FILE.gguf --out GOLDEN.json [--logits RAW.f32] [--saved FOLDER]

--logits also writes the full logits of every prompt position as raw little-endian f32, prompt after prompt.
--saved checks that transformers reads the Hugging Face folder that svs saved from the same file, with equal weights,
token ids and chat template; exits with an error if not.
Needs torch, transformers, accelerate, safetensors, gguf, numpy, jinja2.
"""

import argparse
import hashlib
import json
import os
import sys

import numpy as np
import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

WORDS = [
    "Hello, world!", "The quick brown fox jumps over the lazy dog.", "don't can't we've I'll they'd it's", "Ünïcödé", "naïve café",
    "日本語のテキスト", "中文字符测试", "한국어 문장", "Русский текст", "العربية", "עברית", "ελληνικά", "हिन्दी", "ไทย", "🙂🙃 👩‍👩‍👧‍👦 🇩🇪", "e\u0301 \u00e9",
    "1234567890", "3.14159", "1,000,000", "0x1F4A9", "2024-02-29T12:34:56Z", "½ ² ³ ٣٤٥ Ⅷ", "x1y2z3", "a1 b22 c333 d4444", "12 345 6789", "-17.5%",
    "def f(x):\n    return x ** 2\n", "for (int i = 0; i < n; ++i) { a[i] += b[i]; }", "<html><body class=\"x\">&nbsp;</body></html>",
    "SELECT * FROM t WHERE a >= 10;", "{\"key\": [1, 2.5, null, true]}", "git commit -m 'msg' && ./run.sh --flag=1", "\\frac{1}{2} + \\sqrt{3}", "\\boxed{42}",
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\t\t x", " leading", "trailing ", "  two  spaces  ", "a\r\nb\rc", "line\n\n  indented\n\tmore", "\u00a0nbsp\u2003em",
    "<|im_start|>user\nhi<|im_end|>\n", "<|endoftext|>", "<|im_start|><|im_end|>", "<|im_start |>", "< |im_start|>", "x<|im_end|>y", "<repo_name>a<file_sep>b",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "camelCaseAndSnake_case-kebab", "!!!???...;;;", "----====____", "((([[[{{{", "http://example.org/a?b=c&d=%20e#f",
    "\u0000\u0001\u001f\u007f", "\ufeffbom", "\u200bzero\u200dwidth", "\ud7ff \ue000", "\U0001d54f\U0001f9d1\U0010ffff", "ﬁ ﬂ ＡＢＣ", "Ǆ ǅ ǆ ß ẞ İ ı",
    "Tom has 12 apples and gives 5 to Anna. How many are left?", "12+30=42, 7*8=56; 100/4=25.", "$5.00 €3,50 £2 ¥100",
]
CHATS = [
    [["user", "Hello"]],
    [["system", "You are terse."], ["user", "2+2?"]],
    [["user", "a"], ["assistant", "b"], ["user", "c"]],
    [["system", ""], ["user", "  spaces kept  \n"], ["assistant", "ok\n\n"], ["user", "日本 🙂"]],
    [["assistant", "I speak first."]],
    [["user", "{{ messages }} {% if x %} <|im_end|>"]],
]
PROMPTS = [
    ["text", "The capital of France is"],
    ["text", "Once upon a time, in a small village by the sea,"],
    ["text", "def fibonacci(n):\n    "],
    ["text", "1, 2, 3, 4, 5, 6, 7,"],
    ["chat", [["user", "What is the capital of Germany?"]]],
    ["chat", [["user", "Tom has 12 apples and gives 5 to Anna. How many apples are left? Think step by step."]]],
    ["chat", [["system", "Answer in one word."], ["user", "Which color is the sky on a clear day?"]]],
]
GREEDY_TOKENS = 32
SAMPLED_IDS = 256


def texts():
    """The words, then pairs of them: about 200."""
    pairs = [WORDS[i] + joint + WORDS[(i * 7 + 3) % len(WORDS)] for joint in (" ", "", "\n") for i in range(0, len(WORDS), 2)]
    return WORDS + pairs


def messages(chat):
    return [{"role": role, "content": content} for role, content in chat]


def load(gguf):
    folder, name = os.path.split(os.path.abspath(gguf))
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    # SmolLM2's own tokenizer.json splits digits first (ggml calls this pre-tokenizer "smollm"); the GGUF reader of
    # transformers does not look at that entry and leaves the step out.
    steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    return model, tokenizer


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=True)


def weight_hashes(model):
    state = model.state_dict()
    tied = model.config.tie_word_embeddings
    names = sorted(name for name in state if not (tied and name == "lm_head.weight"))
    digest = lambda tensor: hashlib.sha256(tensor.detach().numpy().astype("<f4").tobytes()).hexdigest()[:16]
    return {name: digest(state[name]) for name in names}


def greedy(model, ids, count):
    tokens, cache, rest = [], None, list(ids)
    while len(tokens) < count:
        with torch.no_grad():
            out = model(torch.tensor([rest]), past_key_values=cache, use_cache=True)
        cache, rest = out.past_key_values, [int(out.logits[0, -1].argmax())]
        tokens += rest
    return tokens


def golden(model, tokenizer, raw):
    out = {"made_by": "smollm2_golden.py", "torch": torch.__version__.split("+")[0], "weights": weight_hashes(model)}
    out["texts"] = [{"text": text, "ids": encode(tokenizer, text)} for text in texts()]
    render = lambda chat, opens: tokenizer.apply_chat_template(messages(chat), tokenize=False, add_generation_prompt=opens)
    out["chats"] = [{"messages": chat, "opened": render(chat, True), "closed": render(chat, False)} for chat in CHATS]
    out["prompts"] = []
    for kind, prompt in PROMPTS:
        text = render(prompt, True) if kind == "chat" else prompt
        ids = tokenizer.encode(text, add_special_tokens=False)
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].numpy()
        if raw is not None:
            raw.write(logits.astype("<f4").tobytes())
        last = logits[-1]
        step = len(last) // SAMPLED_IDS
        shown = sorted(set(np.argsort(-last)[:10].tolist()) | set(range(0, len(last), step)))
        out["prompts"].append({
            "ids": ids,
            "logits": [[token, round(float(last[token]), 5)] for token in shown],
            "greedy": greedy(model, ids, GREEDY_TOKENS),
        })
    return out


def check_saved(folder, model, tokenizer):
    """The folder that svs saved reads as the same model."""
    saved = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    theirs, ours = weight_hashes(model), weight_hashes(saved)
    problems = [f"weights of {name} differ" for name in theirs if theirs[name] != ours.get(name)]
    read = AutoTokenizer.from_pretrained(folder)
    problems += [f"ids of {text!r} differ" for text in texts() if encode(read, text) != encode(tokenizer, text)]
    for chat in CHATS:
        if read.apply_chat_template(messages(chat), tokenize=False) != tokenizer.apply_chat_template(messages(chat), tokenize=False):
            problems.append(f"chat {chat} renders differently")
    if np.float32(saved.config.rms_norm_eps) != np.float32(model.config.rms_norm_eps):
        problems.append(f"config.rms_norm_eps: {saved.config.rms_norm_eps} instead of {model.config.rms_norm_eps}")
    for key in ("eos_token_id", "tie_word_embeddings", "max_position_embeddings", "head_dim"):
        if getattr(saved.config, key) != getattr(model.config, key):
            problems.append(f"config.{key}: {getattr(saved.config, key)} instead of {getattr(model.config, key)}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--logits")
    parser.add_argument("--saved")
    arguments = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    model, tokenizer = load(arguments.gguf)
    problems = check_saved(arguments.saved, model, tokenizer) if arguments.saved else []
    if arguments.logits:
        with open(arguments.logits, "wb") as raw:
            made = golden(model, tokenizer, raw)
    else:
        made = golden(model, tokenizer, None)
    with open(arguments.out, "w", encoding="utf-8") as file:
        json.dump(made, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
