# rule: time_limit
import time

print(7, flush=True)
time.sleep(3600)
