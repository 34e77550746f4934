"""How values travel between the program of a response and the asserts about it: JSON, with an object for each kind it lacks."""
import json
import os
import sys

MAX_LINE = 16 << 20
MAX_DEPTH = 200
# Kinds that JSON has; long lists of them are not looked at one by one.
PLAIN = {type(None), bool, int, float, str}


class Untold(Exception):
    """A value that does not travel: too large, too deep, or of another kind."""


class OtherKind(Untold):
    """A value of another kind; none such comes from the other program."""


def of_module(value, module, name):
    """Whether a value is of a class of a module that need not be loaded."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def pack(value, depth=0):
    """A value as JSON, by its kind; anything else is refused."""
    if depth > MAX_DEPTH:
        raise Untold("a value nested more than 200 deep")
    if value is None or value is True or value is False:
        return value
    for kind, plain in ((int, int.__pos__), (float, float.__pos__), (str, str.__str__)):
        if isinstance(value, kind):
            return plain(value)
    down = depth + 1
    if isinstance(value, list):
        if PLAIN.issuperset(map(type, list.__iter__(value))):
            return list(list.__iter__(value))
        return [pack(item, down) for item in list.__iter__(value)]
    for kind in (tuple, set, frozenset):
        if isinstance(value, kind):
            return {kind.__name__: [pack(item, down) for item in kind.__iter__(value)]}
    if isinstance(value, dict):
        return {"dict": [[pack(k, down), pack(v, down)] for k, v in dict.items(value)]}
    for kind in (bytes, bytearray):
        if isinstance(value, kind):
            return {kind.__name__: bytes(value).hex()}
    if isinstance(value, complex):
        return {"complex": [complex.real.__get__(value), complex.imag.__get__(value)]}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    for module, name in (("decimal", "Decimal"), ("fractions", "Fraction")):
        if of_module(value, module, name):
            return {name: str(value)}
    if of_module(value, "collections", "deque"):
        return {"deque": [pack(item, down) for item in value]}
    raise OtherKind("a value of type " + type(value).__name__)


def unpack(packed):
    """The value; only plain kinds come of it, whatever was sent."""
    if type(packed) is list:
        if PLAIN.issuperset(map(type, packed)):
            return packed
        return [unpack(item) for item in packed]
    if type(packed) is not dict:
        return packed
    (kind, inside), = packed.items()
    if kind in ("bytes", "bytearray"):
        return {"bytes": bytes, "bytearray": bytearray}[kind].fromhex(inside)
    if kind == "dict":
        return {unpack(k): unpack(v) for k, v in inside}
    if kind in ("complex", "range"):
        return {"complex": complex, "range": range}[kind](*inside)
    if kind == "Decimal":
        from decimal import Decimal
        return Decimal(inside)
    if kind == "Fraction":
        from fractions import Fraction
        return Fraction(inside)
    items = [unpack(item) for item in inside]
    if kind == "deque":
        from collections import deque
        return deque(items)
    return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](items)


def line_of(message):
    """A message as it is sent."""
    line = json.dumps(message).encode() + b"\n"
    if len(line) > MAX_LINE:
        raise Untold("a value of more than 16 MiB")
    return line


class Stream:
    """Lines of JSON to and from the other program."""

    def __init__(self, descriptor=3):
        self.descriptor, self.rest = descriptor, bytearray()

    def send(self, line):
        view = memoryview(line)
        while view:
            view = view[os.write(self.descriptor, view):]

    def receive(self):
        """The next message; None at the end of the stream, and for a line that is too long."""
        searched = 0
        while (end := self.rest.find(b"\n", searched)) < 0:
            searched = len(self.rest)
            part = os.read(self.descriptor, 1 << 20) if searched < MAX_LINE else b""
            if not part:
                return None
            self.rest += part
        line, self.rest = self.rest[:end], self.rest[end + 1:]
        return json.loads(line)
