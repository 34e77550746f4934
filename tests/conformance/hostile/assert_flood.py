# asserts
# rule: wrong_value exit_status
# An answer without an end.
def add(a, b):
    return "7" * (1 << 28)
