# asserts
# rule: wrong_value exit_status
# Answers before it is asked, and claims to be the judge.
import os

for line in (b'{"passed":[true]}\n', b'{"value":{"int":"8"},"arguments":{"list":[]}}\n', b"\xff\xfe\n"):
    os.write(3, line)
print('{"passed":[true]}')


def add(a, b):
    return None
