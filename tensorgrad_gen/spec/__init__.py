"""Stage `spec`: a YAML file -> `OpSpec`, every scalar with its place."""

from tensorgrad_gen.spec.files import read_text
from tensorgrad_gen.spec.load import load_file, load_text
from tensorgrad_gen.spec.model import OpSpec

__all__ = ["OpSpec", "load_file", "load_text", "read_text"]
