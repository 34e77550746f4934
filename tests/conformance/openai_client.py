"""The official `openai` client, unmodified, against a served policy.

Usage: openai_client.py --svs PATH [--model MODEL]
Starts `svs serve` on a free port, talks to it, and exits non-zero at the first difference.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import typing
import urllib.error
import urllib.request

import openai
import pydantic

NAME = "policy"
MESSAGES = [{"role": "user", "content": "Tom has 3 apples and buys 4 more. How many apples has he now?"}]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(process, url, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"svs serve ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1) as response:
                assert response.status == 200
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    sys.exit(f"svs serve did not answer within {seconds} s")


def chat(client):
    whole = client.chat.completions.create(
        model=NAME, messages=MESSAGES, seed=7, max_completion_tokens=24, n=2, logprobs=True, top_logprobs=2
    )
    assert whole.object == "chat.completion" and len(whole.choices) == 2, whole
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    sampled = 0
    for choice in whole.choices:
        assert choice.message.role == "assistant" and choice.finish_reason in ("stop", "length"), choice
        for token in choice.logprobs.content:
            assert token.logprob <= 0 and len(token.top_logprobs) == 2, token
        sampled += len(choice.logprobs.content)
    assert sampled == whole.usage.completion_tokens
    assert whole.model_extra["weight_version"] == 0

    texts, usage, roles = {0: "", 1: ""}, None, set()
    stream = client.chat.completions.create(
        model=NAME, messages=MESSAGES, seed=7, max_completion_tokens=24, n=2, stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            roles.add(choice.delta.role)
    assert [texts[0], texts[1]] == [choice.message.content for choice in whole.choices], texts
    assert usage == whole.usage and roles == {"assistant", None}, (usage, roles)

    # An earlier answer goes back as the client dumps it, null fields included.
    history = MESSAGES + [whole.choices[0].message.model_dump(), {"role": "user", "content": "Again?"}]
    assert client.chat.completions.create(model=NAME, messages=history, max_tokens=4).choices[0].message.role


def tools(client):
    class Weather(pydantic.BaseModel):
        city: typing.Literal["Rome", "Oslo"]

    offered = [openai.pydantic_function_tool(Weather, name="weather")]
    common = {"model": NAME, "messages": MESSAGES, "tools": offered, "tool_choice": "required", "seed": 5}
    common |= {"parallel_tool_calls": False, "max_completion_tokens": 120}
    answer = client.chat.completions.parse(**common).choices[0]
    assert answer.finish_reason == "tool_calls" and answer.message.content is None, answer
    call = answer.message.tool_calls[0]
    assert isinstance(call.function.parsed_arguments, Weather), call
    with client.chat.completions.stream(**common) as stream:
        last = stream.get_final_completion().choices[0].message
    assert last.tool_calls[0].function == call.function, last
    history = [*MESSAGES, answer.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    again = client.chat.completions.create(model=NAME, messages=history, tools=offered, max_completion_tokens=4)
    assert again.choices[0].message.role == "assistant"


def completions(client):
    common = {"model": NAME, "prompt": ["One plus one is", "Two"], "seed": 3, "max_tokens": 8}
    whole = client.completions.create(**common, logprobs=2, echo=True)
    assert [choice.index for choice in whole.choices] == [0, 1]
    for choice, prompt in zip(whole.choices, common["prompt"]):
        logprobs = choice.logprobs
        assert choice.text.startswith(prompt) and logprobs.token_logprobs[0] is None, choice
        sizes = {len(logprobs.tokens), len(logprobs.token_logprobs), len(logprobs.top_logprobs), len(logprobs.text_offset)}
        assert len(sizes) == 1, sizes
    texts = {0: "", 1: ""}
    for chunk in client.completions.create(**common, echo=True, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert [texts[0], texts[1]] == [choice.text for choice in whole.choices], texts
    by_ids = client.completions.create(
        model=NAME, prompt=[1, 2, 3], max_tokens=4, extra_body={"return_token_ids": True, "ignore_eos": True}
    )
    assert by_ids.choices[0].model_extra["prompt_token_ids"] == [1, 2, 3]
    assert len(by_ids.choices[0].model_extra["token_ids"]) == 4 == by_ids.usage.completion_tokens


def responses(client, url, key):
    common = {"model": NAME, "max_output_tokens": 24, "extra_body": {"seed": 7}}
    question = MESSAGES[0]["content"]
    whole = client.responses.create(input=question, instructions="Be brief.", **common)
    assert whole.object == "response" and whole.id.startswith("resp_"), whole
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    assert client.responses.retrieve(whole.id).to_dict() == whole.to_dict()
    with client.responses.stream(input=question, instructions="Be brief.", **common) as stream:
        events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type in ("response.completed", "response.incomplete")
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text

    # The conversation goes on from what is stored, or from the items as the client has them.
    stored = client.responses.create(input="Again?", previous_response_id=whole.id, **common)
    history = [*MESSAGES, *whole.output, {"role": "user", "content": "Again?"}]
    spelled = client.responses.create(input=history, **common)
    assert stored.output_text == spelled.output_text and stored.usage == spelled.usage, (stored, spelled)
    client.responses.delete(whole.id)
    try:
        client.responses.retrieve(whole.id)
    except openai.NotFoundError:
        pass
    else:
        sys.exit("a deleted response was found")

    class Count(pydantic.BaseModel):
        fruit: typing.Literal["apples", "pears"]

    class Weather(pydantic.BaseModel):
        city: typing.Literal["Rome", "Oslo"]

    roomy = common | {"max_output_tokens": 200, "temperature": 0}
    calls = common | {"max_output_tokens": 120}
    assert isinstance(client.responses.parse(input=question, text_format=Count, **roomy).output_parsed, Count)
    tools = [openai.pydantic_function_tool(Weather, name="weather")["function"] | {"type": "function"}]
    asked = client.responses.create(input=question, tools=tools, tool_choice="required", parallel_tool_calls=False, **calls)
    call = asked.output[0]
    assert call.type == "function_call" and Weather.model_validate_json(call.arguments), asked
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    assert client.responses.create(input=[output], previous_response_id=asked.id, tools=tools, **common).output

    endless = {"model": NAME, "input": question, "background": True, "extra_body": {"ignore_eos": True}}
    post(url, "/pause?mode=keep", key, {})
    begun = client.responses.create(**endless)
    assert begun.status == "in_progress", begun
    cancelled = client.responses.cancel(begun.id)
    assert cancelled.status == "cancelled" and client.responses.retrieve(begun.id).status == "cancelled"
    post(url, "/resume", key, {})
    try:
        client.responses.create(input=question, reasoning={"effort": "low"}, **common)
    except openai.BadRequestError as error:
        assert error.param == "reasoning", error
        return
    sys.exit("reasoning was accepted")


def embeddings(client):
    texts = ["Three apples and four.", "Two pears."]
    # The client asks for base64 and decodes it.
    whole = client.embeddings.create(model=NAME, input=texts)
    plain = client.embeddings.create(model=NAME, input=texts, encoding_format="float")
    assert [one.index for one in whole.data] == [0, 1] and whole.usage.total_tokens > 8, whole
    for coded, listed in zip(whole.data, plain.data):
        assert abs(sum(value * value for value in coded.embedding) - 1) < 1e-5
        assert max(abs(a - b) for a, b in zip(coded.embedding, listed.embedding, strict=True)) < 1e-7
    short = client.embeddings.create(model=NAME, input=texts[0], dimensions=8, extra_body={"pooling": "last"})
    assert len(short.data[0].embedding) == 8
    try:
        client.embeddings.create(model=NAME, input="")
    except openai.BadRequestError as error:
        assert error.param == "input", error
        return
    sys.exit("an empty text was embedded")


def models(client):
    assert [model.id for model in client.models.list()] == [NAME]
    assert client.models.retrieve(NAME).id == NAME


def errors(client, url):
    def refused(kind, param, **fields):
        request = {"model": NAME, "messages": MESSAGES, "max_tokens": 1, **fields}
        try:
            client.chat.completions.create(**request)
        except kind as error:
            assert error.param == param, (error.param, param)
        else:
            sys.exit(f"{fields} was accepted")

    refused(openai.NotFoundError, "model", model="gpt-nine")
    refused(openai.BadRequestError, "temperature", temperature=-1)
    refused(openai.BadRequestError, "n", n=0)
    refused(openai.BadRequestError, "response_format.type", response_format={"type": "xml"})
    refused(openai.BadRequestError, "surprise", extra_body={"surprise": 1})
    try:
        openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).models.list()
    except openai.AuthenticationError:
        return
    sys.exit("a wrong API key was accepted")


def post(url, path, key, body):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def sessions(client, url, key):
    """A client that knows nothing of sessions is attributed by its key alone."""
    started = post(url, "/rl/start_session", key, {"task_id": "apples"})
    agent = openai.OpenAI(base_url=f"{url}/v1", api_key=started["api_key"], max_retries=0, timeout=120)
    first = agent.chat.completions.create(model=NAME, messages=MESSAGES, max_completion_tokens=8)
    stream = agent.chat.completions.create(model=NAME, messages=MESSAGES, max_completion_tokens=8, stream=True)
    second = [chunk.id for chunk in stream][0]
    assert NAME in [model.id for model in agent.models.list()]
    post(url, "/rl/set_reward", started["api_key"], {"reward": 0.5, "interaction_id": first.id})
    post(url, "/rl/set_reward", started["api_key"], {"reward": 1.0})
    ended = post(url, "/rl/end_session", started["api_key"], {})
    assert (ended["trajectories"], ended["rewarded"]) == (2, 2), ended
    found = client.get(f"/trajectories?session={started['session_id']}&order=asc", cast_to=dict[str, typing.Any])
    rewards = {row["id"].rsplit("-", 2)[0]: row["reward"] for row in found["data"]}
    assert rewards == {first.id: 0.5, second: 1.0}, found
    try:
        agent.models.list()
    except openai.AuthenticationError:
        return
    sys.exit("the key of a session that has ended was accepted")


def graders(client):
    grader = {
        "type": "string_check",
        "name": "exact",
        "input": "{{sample.output_text}}",
        "reference": "{{item.answer}}",
        "operation": "eq",
    }
    client.fine_tuning.alpha.graders.validate(grader=grader)
    for sample, reward in [("7", 1.0), ("8", 0.0)]:
        run = client.fine_tuning.alpha.graders.run(grader=grader, model_sample=sample, item={"answer": "7"})
        assert run.reward == reward and run.metadata.name == "exact", run
        assert not run.metadata.errors.other_error, run
    try:
        client.fine_tuning.alpha.graders.validate(grader={**grader, "operation": "about"})
    except openai.BadRequestError as error:
        assert error.param == "grader", error
        return
    sys.exit("a wrong grader was accepted")


def fine_tuning(client, url, key):
    """From an upload to a chat with what came out of it."""
    problems = [(f"Tom has {a} apples and buys {b} more. How many apples has he now?", a + b) for a in range(2, 6) for b in (1, 4)]
    system = {"role": "system", "content": "Answer with a number."}
    rows = [{"messages": [system, {"role": "user", "content": text}], "answer": answer} for text, answer in problems]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    try:
        client.files.create(file=("bad.jsonl", content + b'{"messages": []}\n'), purpose="fine-tune")
    except openai.BadRequestError as error:
        assert error.param == "file" and f"line {len(rows) + 1}: `messages`" in error.message, error
    else:
        sys.exit("a file with a line without messages was accepted")
    file = client.files.create(file=("train.jsonl", content), purpose="fine-tune")
    assert (file.status, file.bytes, file.filename) == ("processed", len(content), "train.jsonl"), file
    assert client.files.retrieve(file.id) == file and [one.id for one in client.files.list()] == [file.id]
    assert client.files.content(file.id).read() == content

    grader = {
        "type": "string_check",
        "name": "answer",
        "input": "{{sample.output_text}}",
        "reference": "{{item.answer}}",
        "operation": "like",
    }
    overrides = {"checkpoint.save_freq": 1, "rollout.max_response_length": 24, "checkpoint.keep": 3}
    method = {
        "type": "reinforcement",
        "reinforcement": {
            "grader": grader,
            "hyperparameters": {"n_epochs": 1, "batch_size": 4, "compute_multiplier": 0.5, "eval_interval": "auto"},
            "x_svs": {"recipe": "grpo", "config": overrides},
        },
    }
    jobs = client.fine_tuning.jobs
    job = jobs.create(model=NAME, training_file=file.id, method=method, suffix="apples", metadata={"team": "fruit"})
    assert job.object == "fine_tuning.job" and job.fine_tuned_model is None and job.metadata == {"team": "fruit"}, job
    assert job.method.reinforcement.hyperparameters.batch_size == 4, job
    waiting = jobs.create(model=NAME, training_file=file.id, method=method)
    assert jobs.cancel(waiting.id).status == "cancelled"
    assert client.files.delete(file.id).deleted
    request = urllib.request.Request(
        f"{url}/v1/fine_tuning/jobs/{job.id}/events?stream=true", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=600) as response:
        lines = [line[6:].strip() for line in response if line.startswith(b"data: ")]
    assert lines.pop() == b"[DONE]", lines
    streamed = [json.loads(line)["id"] for line in lines]
    assert [event.id for event in jobs.list_events(job.id)] == streamed[::-1]
    job = jobs.retrieve(job.id)
    assert job.status == "succeeded" and job.error is None and job.trained_tokens > 0, job
    assert job.fine_tuned_model.startswith("ft:") and ":apples:" in job.fine_tuned_model, job
    assert [one.id for one in jobs.list(limit=1)] == [waiting.id, job.id]
    checkpoints = list(jobs.checkpoints.list(job.id))
    assert [one.step_number for one in checkpoints] == [2, 1], checkpoints
    for model in [job.fine_tuned_model, *(one.fine_tuned_model_checkpoint for one in checkpoints)]:
        assert client.models.retrieve(model).id == model
        answer = client.chat.completions.create(model=model, messages=MESSAGES, max_completion_tokens=8)
        assert answer.model == model and answer.usage.completion_tokens, answer
    try:
        jobs.create(model=NAME, training_file=file.id, method=method)
    except openai.BadRequestError as error:
        assert error.param == "training_file", error
        return
    sys.exit("a job on a deleted file was accepted")


def supervised(client):
    """The model is taught what to answer, and answers it."""
    taught = {"Which birds sing?": "Blue birds sing.", "Which foxes run?": "Red foxes run."}
    turns = lambda asked, said: [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    content = "".join(json.dumps({"messages": turns(*pair)}) + "\n" for pair in taught.items()).encode()
    file = client.files.create(file=("taught.jsonl", content), purpose="fine-tune")
    jobs = client.fine_tuning.jobs
    method = {
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": 90, "batch_size": "auto", "learning_rate_multiplier": 100}},
    }
    job = jobs.create(model=NAME, training_file=file.id, validation_file=file.id, method=method, suffix="taught")
    assert job.method.type == "supervised" and job.method.supervised.hyperparameters.n_epochs == 90, job
    deadline = time.monotonic() + 600
    while (job := jobs.retrieve(job.id)).status in ("validating_files", "queued", "running"):
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
    assert job.status == "succeeded" and job.trained_tokens > 0, job
    events = [event for event in jobs.list_events(job.id, limit=100) if event.type == "metrics"]
    losses = [event.data["train_loss"] for event in reversed(events)]
    assert len(losses) == 90 and losses[-1] < 0.2 * losses[0], losses
    assert all("valid_loss" in event.data for event in events), events
    checkpoints = [one.fine_tuned_model_checkpoint for one in jobs.checkpoints.list(job.id)]
    assert checkpoints, job
    for asked, said in taught.items():
        answer = client.chat.completions.create(
            model=job.fine_tuned_model, messages=[{"role": "user", "content": asked}], temperature=0, max_completion_tokens=16
        )
        assert answer.choices[0].message.content == said, answer
    older = jobs.create(model=NAME, training_file=file.id, hyperparameters={"n_epochs": 1})
    assert older.method.type == "supervised" and older.hyperparameters.n_epochs == 1, older
    while (older := jobs.retrieve(older.id)).status != "succeeded":
        assert older.status in ("validating_files", "queued", "running") and time.monotonic() < deadline, older
        time.sleep(0.2)
    client.files.delete(file.id)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--svs", required=True)
    parser.add_argument("--model")
    options = parser.parse_args()
    port, key = free_port(), "conformance"
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as runs:
        command = [options.svs, "serve", "--port", str(port), "--runs", runs, "--served-model-name", NAME]
        command += ["--model", options.model] if options.model else []
        process = subprocess.Popen(command, env={**os.environ, "SVS_API_KEY": key})
        try:
            wait_until_up(process, url)
            client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=120)
            chat(client)
            tools(client)
            completions(client)
            responses(client, url, key)
            embeddings(client)
            models(client)
            errors(client, url)
            sessions(client, url, key)
            graders(client)
            fine_tuning(client, url, key)
            supervised(client)
        finally:
            process.terminate()
            code = process.wait(timeout=60)
        assert code == 0, f"svs serve ended with exit code {code}"
    print(f"openai {openai.__version__}: chat, tools, responses, completions, embeddings, streams, logprobs, models, errors, sessions, graders, fine-tuning")


if __name__ == "__main__":
    main()
