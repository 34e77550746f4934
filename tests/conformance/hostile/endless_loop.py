# rule: cpu_limit time_limit
while True:
    pass
