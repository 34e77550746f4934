"""Loads the program of a response and calls its functions for the asserts, which are in another process."""
import sys

import values

if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)


def answer(namespace, message):
    arguments = values.unpack(message["arguments"])
    names = values.unpack(message["names"])
    try:
        found = namespace[message["name"]](*arguments, **names)
        # What was done to the arguments counts too.
        return {"value": values.pack(found), "arguments": values.pack(arguments)}
    except Exception as error:
        return {"error": type(error).__name__}


def main():
    stream = values.Stream()
    with open("program.py", encoding="utf-8") as file:
        source = file.read()
    # A name by which the part of a program that reads its input does not run.
    namespace = {"__name__": "program"}
    exec(compile(source, "program.py", "exec"), namespace)
    while (message := stream.receive()) is not None:
        stream.send(answer(namespace, message))


main()
