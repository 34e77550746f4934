# rule: wrong_output
import os

os._exit(0)
