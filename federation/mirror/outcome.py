"""How a batch of a stream ends."""

from enum import Enum


class Outcome(Enum):
    """How a batch ended."""

    BUSY = "somebody else holds the stream"
    SIBLING = "somebody else holds the stream, or another one of the same two"
    STOPPED = "records do not flow under this agreement now"
    IDLE = "there was nothing to do"
    DONE = "all there was has been applied"
    MORE = "there is more to do"
    LARGE = "there is more to do than was asked for"
    WAITING = "older transactions have to end first"
    BROKEN = "a problem stops the stream"
