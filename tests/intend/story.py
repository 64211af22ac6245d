"""From one switch to a running system: each part is told by a file of its own."""

import cluster
import engines
import function
import lab
import objects
import run

import deploy

for part in (objects, deploy, function, run, cluster, engines):
    lab.say(f"-- {part.__name__}: {part.__doc__.splitlines()[0]}")
    part.tell()
lab.end()
