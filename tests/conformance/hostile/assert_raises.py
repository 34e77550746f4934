# asserts
# rule: wrong_value
# An exception that would end the asserts if it were raised there.
class SystemExit(Exception):
    pass


def add(a, b):
    raise SystemExit
