"""Raw answers of the OpenAI routes against OpenAI's published types, those of the `openai` package, strictly.

Usage: openai_schema.py --svs PATH
Required fields, types and literals are checked as pydantic's strict mode does; a field that the types do not have must be
one of our documented extensions. Starts `svs serve` on a free port and exits non-zero at the first difference.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import typing
import urllib.error
import urllib.request

import pydantic
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.fine_tuning.alpha import GraderRunResponse, GraderValidateResponse
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject

from openai_client import free_port, wait_until_up

MESSAGES = [{"role": "user", "content": "What is 2 + 3?"}]
# Ours and vLLM's: docs/api.md.
EXTENSIONS = {
    "weight_version", "weight_versions", "seed", "stop_reason", "token_ids", "prompt_token_ids", "prompt_logprobs",
    "root", "parent", "max_model_len", "token_id", "rank", "verdict",
    "logprobs_mode", "sampled_logprobs",
    # In the answers of OpenAI's API, and not in the types.
    "store",
}
FUNCTION = {
    "name": "add",
    "parameters": {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False},
}
GRADER = {
    "type": "string_check", "name": "exact", "input": "{{sample.output_text}}", "reference": "{{item.answer}}",
    "operation": "eq",
}


class Models(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    object: typing.Literal["list"]
    data: list[Model]


class StreamedResponse(pydantic.RootModel[ResponseStreamEvent]):
    """One event of `/v1/responses`."""


class Refusal(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    error: ErrorObject


def strangers(value, place=""):
    """Fields that the types do not have and we do not document."""
    if isinstance(value, pydantic.BaseModel):
        for name in value.model_extra or {}:
            if name not in EXTENSIONS:
                yield f"{place}.{name}"
        for name in type(value).model_fields:
            yield from strangers(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, (list, tuple)):
        for index, element in enumerate(value):
            yield from strangers(element, f"{place}[{index}]")
    elif isinstance(value, dict):
        for name, element in value.items():
            yield from strangers(element, f"{place}.{name}")


def check(kind, raw):
    """`raw`, JSON as it was sent, as `kind`."""
    try:
        value = kind.model_validate_json(raw, strict=True)
    except pydantic.ValidationError as error:
        sys.exit(f"{kind.__name__}: {error}\n{raw}")
    found = list(strangers(value))
    if found:
        sys.exit(f"{kind.__name__} has fields of neither OpenAI nor docs/api.md: {found}\n{raw}")
    return value


def refuses_what_is_wrong():
    """The check itself can fail: a missing field, another type, another literal, a strange field."""
    good = {"id": "x", "created": 1, "object": "model", "owned_by": "svs"}
    strict = lambda model: Model.model_validate_json(json.dumps(model), strict=True)
    for change in ({"id": None}, {"created": "1"}, {"object": "models"}):
        try:
            strict(good | change)
        except pydantic.ValidationError:
            continue
        sys.exit(f"{change} passes")
    assert list(strangers(strict(good | {"odd": 1}))) == [".odd"]


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def events(text):
    lines = [line[len("data: "):] for line in text.splitlines() if line.startswith("data: ")]
    assert lines.pop() == "[DONE]", text
    return lines


def ended(event):
    """A streamed text: the type is that of whole answers, which have ended; OpenAI's own streams say null until then."""
    event = json.loads(event)
    for choice in event["choices"]:
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return json.dumps(event)


def echoed(text):
    """Without the first token of an echoed prompt: nothing predicts it, and its null, OpenAI's own, is not in the type."""
    answer = json.loads(text)
    for choice in answer["choices"]:
        assert choice["logprobs"]["token_logprobs"][0] is None, text
        choice["logprobs"] = {name: values[1:] for name, values in choice["logprobs"].items()}
    return json.dumps(answer)


def answers(base):
    """Every answer that is checked: its type and its text."""
    chats = [
        {},
        {"n": 2, "logprobs": True, "top_logprobs": 3, "temperature": 0.7, "seed": 1},
        {"max_tokens": 48, "tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "required"},
        {"response_format": {"type": "json_object"}},
        {"return_token_ids": True, "return_weight_versions": True, "prompt_logprobs": 1},
        {"return_raw_logprobs": True, "temperature": 0.7, "top_k": 5},
    ]
    for fields in chats:
        body = {"model": "policy", "messages": MESSAGES, "max_tokens": 16} | fields
        yield ChatCompletion, 200, ask(f"{base}/v1/chat/completions", body)
        if "prompt_logprobs" in fields:
            continue
        streamed = body | {"stream": True, "stream_options": {"include_usage": True}}
        status, text = ask(f"{base}/v1/chat/completions", streamed)
        for event in events(text):
            yield ChatCompletionChunk, 200, (status, event)
    texts = [{}, {"logprobs": 2, "n": 2}, {"echo": True, "logprobs": 1, "max_tokens": 0}, {"prompt": [[10, 11], [12]], "seed": 3},
             {"return_raw_logprobs": True}]
    for fields in texts:
        body = {"model": "policy", "prompt": "2 + 3 =", "max_tokens": 8} | fields
        status, text = ask(f"{base}/v1/completions", body)
        yield Completion, 200, (status, echoed(text) if "echo" in fields else text)
        if "echo" not in fields:
            status, text = ask(f"{base}/v1/completions", body | {"stream": True})
            for event in events(text):
                yield Completion, 200, (status, ended(event))
    for fields in ({}, {"pooling": "last", "dimensions": 3}):
        body = {"model": "policy", "input": ["2 + 3 =", "5"]} | fields
        yield CreateEmbeddingResponse, 200, ask(f"{base}/v1/embeddings", body)
    responses = [
        {},
        {"instructions": "Be brief.", "temperature": 0, "metadata": {"a": "b"}, "store": False},
        {"max_output_tokens": 120, "tools": [{"type": "function", "strict": True} | FUNCTION], "tool_choice": "required"},
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"enum": ["yes", "no"]}}}},
    ]
    for fields in responses:
        body = {"model": "policy", "input": "What is 2 + 3?", "max_output_tokens": 16} | fields
        status, text = ask(f"{base}/v1/responses", body)
        yield Response, 200, (status, text)
        if body.get("store", True):
            yield Response, 200, ask(f"{base}/v1/responses/{json.loads(text)['id']}")
        status, text = ask(f"{base}/v1/responses", body | {"stream": True})
        for line in text.splitlines():
            if line.startswith("data: "):
                yield StreamedResponse, 200, (status, line[len("data: "):])
    yield Models, 200, ask(f"{base}/v1/models")
    yield Model, 200, ask(f"{base}/v1/models/policy")
    graders = f"{base}/v1/fine_tuning/alpha/graders"
    yield GraderValidateResponse, 200, ask(f"{graders}/validate", {"grader": GRADER})
    run = {"grader": GRADER, "model_sample": "5", "item": {"answer": "5"}}
    yield GraderRunResponse, 200, ask(f"{graders}/run", run)
    yield Refusal, 404, ask(f"{base}/v1/models/other")
    yield Refusal, 400, ask(f"{base}/v1/chat/completions", {"model": "policy", "messages": MESSAGES, "n": "two"})
    yield Refusal, 405, ask(f"{base}/v1/chat/completions")
    yield Refusal, 404, ask(f"{base}/v1/nothing")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--svs", required=True)
    arguments = parser.parse_args()
    refuses_what_is_wrong()
    base = f"http://127.0.0.1:{(port := free_port())}"
    with tempfile.TemporaryDirectory() as runs:
        command = [arguments.svs, "serve", "--port", str(port), "--runs", runs, "--served-model-name", "policy"]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            wait_until_up(server, base)
            counts = {}
            for kind, wanted, (status, text) in answers(base):
                assert status == wanted, (kind.__name__, status, text)
                check(kind, text)
                counts[kind.__name__] = counts.get(kind.__name__, 0) + 1
            print("answers as OpenAI's types have them:", ", ".join(f"{count} {name}" for name, count in counts.items()))
        finally:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    main()
