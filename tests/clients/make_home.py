"""Makes a home for a client that is tried by hand or by `.ci/run`:
python3 make_home.py PROGRAM FOLDER NAME"""

import sys

from owner import Owner

Owner(*sys.argv[1:4]).init()
