"""Loads the program of a response and calls its functions for the asserts, which are in another process."""
import sys
import types

import values

if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)


def answer(namespace, message):
    arguments = values.unpack(message["arguments"])
    names = values.unpack(message["names"])
    try:
        found = namespace[message["name"]](*arguments, **names)
    except Exception as error:
        return {"error": type(error).__name__}
    # What was done to the arguments counts too.
    return {"value": values.pack(found), "arguments": values.pack(arguments), "names": values.pack(names)}


def main():
    stream = values.Stream()
    with open("program.py", encoding="utf-8") as file:
        source = file.read()
    # A module by a name under which the part of a program that reads its input does not run.
    module = types.ModuleType("program")
    sys.modules["program"] = module
    exec(compile(source, "program.py", "exec"), module.__dict__)
    while (message := stream.receive()) is not None:
        try:
            line = values.line_of(answer(module.__dict__, message))
        except (values.Untold, RecursionError) as error:
            line = values.line_of({"untold": str(error)})
        stream.send(line)


main()
