# As in include/isolario.h; the package takes no library of another version.
__version__ = "0.1.0"
