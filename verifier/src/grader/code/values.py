"""How values travel between the program of a response and the asserts about it: JSON with the kinds it lacks."""
import json
import os

MAX_LINE = 4 << 20


def pack(value, depth=0):
    """A value as JSON, by its kind; anything else is refused."""
    if depth > 200:
        raise ValueError("nested too deeply")
    down = depth + 1
    if value is None or value is True or value is False:
        return value
    for kind, name in ((int, "int"), (float, "float"), (str, "str")):
        if isinstance(value, kind):
            return {name: kind.__repr__(value) if kind is not str else str.__str__(value)}
    if isinstance(value, complex):
        return {"complex": [repr(complex.real.__get__(value)), repr(complex.imag.__get__(value))]}
    if isinstance(value, (bytes, bytearray)):
        return {type(value).__mro__[-2].__name__: bytes(value).hex()}
    if isinstance(value, dict):
        return {"dict": [[pack(k, down), pack(v, down)] for k, v in dict.items(value)]}
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return {kind.__name__: [pack(item, down) for item in kind.__iter__(value)]}
    raise TypeError("a value of type " + type(value).__name__)


def unpack(packed):
    """The value; only plain kinds come of it, whatever was sent."""
    if packed is None or packed is True or packed is False:
        return packed
    (kind, inside), = packed.items()
    if kind == "int":
        return int(inside)
    if kind == "float":
        return float(inside)
    if kind == "str" and type(inside) is str:
        return inside
    if kind == "complex":
        return complex(float(inside[0]), float(inside[1]))
    if kind == "bytes":
        return bytes.fromhex(inside)
    if kind == "bytearray":
        return bytearray.fromhex(inside)
    if kind == "dict":
        return {unpack(k): unpack(v) for k, v in inside}
    kinds = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
    return kinds[kind](unpack(item) for item in inside)


class Stream:
    """Lines of JSON to and from the other program."""

    def __init__(self, descriptor=3):
        self.descriptor, self.rest = descriptor, b""

    def send(self, message):
        line = json.dumps(message).encode() + b"\n"
        while line:
            line = line[os.write(self.descriptor, line):]

    def receive(self):
        """The next message; None at the end of the stream, and for a line that is too long."""
        while b"\n" not in self.rest:
            part = os.read(self.descriptor, 1 << 16) if len(self.rest) < MAX_LINE else b""
            if not part:
                return None
            self.rest += part
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)
