"""Runs asserts about functions of a program in another process, and says which of them hold."""
import builtins
import collections
import json
import os
import sys

import values

if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)


class Lost(BaseException):
    """The other program does not answer any more, or not in the agreed way."""


class Untold(BaseException):
    """The other program's answer does not travel."""


class Wrong(BaseException):
    """No program could pass: what it is asked about does not travel."""


class Other:
    """The functions of the other program."""

    def __init__(self):
        # Whether it was asked anything, whether it answered in this statement, whether it is lost.
        self.stream, self.asked, self.answered, self.lost = values.Stream(), False, False, False

    def call(self, name, arguments, names):
        if self.lost:
            raise Lost
        answer = self.ask(name, arguments, names)
        if "untold" in answer:
            raise Untold
        if "error" in answer:
            error = str(answer["error"])
            kind = getattr(builtins, error, None)
            known = isinstance(kind, type) and issubclass(kind, Exception)
            try:
                raised = kind(error) if known else RuntimeError(error)
            except Exception:
                raised = RuntimeError(error)
            raise raised
        try:
            value, after, named = (values.unpack(answer[key]) for key in ("value", "arguments", "names"))
        except Exception:
            self.lost = True
            raise Lost from None
        for ours, theirs in zip(arguments, after if type(after) is list else []):
            write_back(ours, theirs)
        for key, theirs in named.items() if type(named) is dict else []:
            write_back(names.get(key), theirs)
        return value

    def ask(self, name, arguments, names):
        try:
            packed = {"name": name, "arguments": values.pack(arguments), "names": values.pack(names)}
            line = values.line_of(packed)
        except values.Untold as error:
            # An answer may be too large or too deep to be an argument, or decide in its statement which argument is given.
            if self.answered if isinstance(error, values.OtherKind) else self.asked:
                raise Untold from None
            raise Wrong(f"{name} is called with {error}") from None
        self.asked = True
        try:
            self.stream.send(line)
            answer = self.stream.receive()
            if type(answer) is not dict:
                raise ValueError("no answer")
        except Exception:
            self.lost = True
            raise Lost from None
        self.answered = True
        return answer

    def function(self, name):
        return lambda *arguments, **names: self.call(name, list(arguments), names)


def write_back(ours, theirs):
    """What the function did to an argument is done to ours."""
    if type(ours) is not type(theirs):
        return
    if type(ours) in (list, bytearray):
        ours[:] = theirs
    elif type(ours) in (dict, set):
        ours.clear()
        ours.update(theirs)
    elif type(ours) is collections.deque:
        ours.clear()
        ours.extend(theirs)


def main():
    said = os.fdopen(os.dup(1), "w")
    sys.stdout = open(os.devnull, "w")
    with open("asserts.json", encoding="utf-8") as file:
        told = json.load(file)
    json.dump(found(told), said)
    said.close()


def found(told):
    """What is found of each assert, or what is wrong with them whatever the program is."""
    other = Other()
    namespace = {"__name__": "asserts"}
    namespace.update((name, other.function(name)) for name in told["entry"])
    try:
        setup = compile(told["setup"], "setup", "exec")
        asserts = [compile(text, "assert", "exec") for text in told["asserts"]]
        exec(setup, namespace)
    except BaseException as error:
        if isinstance(error, Wrong) or not other.asked:
            return wrong(error)
        return {"found": ["wrong"] * len(told["asserts"])}
    # Names of the program win over those of the setup, which may hold the function's head.
    namespace.update((name, other.function(name)) for name in told["entry"])
    results = []
    for code in asserts:
        other.answered = False
        try:
            exec(code, namespace)
            results.append("passed")
        except Untold:
            results.append("untold")
        except BaseException as error:
            if isinstance(error, Wrong) or not other.asked:
                return wrong(error)
            results.append("wrong")
    return {"found": results}


def wrong(error):
    return {"wrong": f"{type(error).__name__}: {error}"}


main()
