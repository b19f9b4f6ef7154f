"""The three vendors' simulators: real HTTP on loopback, strict where the vendors are strict.

Start them with `kyb sandbox`, or in a test with `with Sandbox() as sandbox: …` (see `sandbox.server`).
"""

from sandbox.server import Sandbox

__all__ = ["Sandbox"]
