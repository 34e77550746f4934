# asserts
# rule: cpu_limit time_limit
def add(a, b):
    while True:
        pass
