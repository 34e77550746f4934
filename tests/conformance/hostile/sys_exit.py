# rule: wrong_output
import sys

sys.exit(0)
