"""Stands for the job: says that it runs, and as which process."""

import os
import sys

print(f"training as process {os.getpid()}", *sys.argv[1:])
