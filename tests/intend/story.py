"""From one switch to a running system: each part is told by a file of its own."""

import lab
import objects

objects.tell()
lab.ending()
