"""The standalone collector: one file that looks at a machine on which nothing can be installed.

``build`` writes the file out of gpudoctor's own sources, which ``lower`` puts into the words of Python 3.6; ``look`` is
what it does there, ``summary`` what people read of it, and ``told`` makes facts of what it brought home. What stands in
for msgspec there, and loads the sources, is inside/collector.py.
"""
