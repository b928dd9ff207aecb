"""gpudoctor: does this GPU really train here, and if not, what is the one thing to fix?"""

__version__ = "0.1.0"
