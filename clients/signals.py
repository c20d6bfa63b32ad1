"""What other layers may listen to; each is sent inside the transaction of the change.

A receiver that raises DomainError refuses the change.

``mandate_submitting``: ``mandate``, ``by``; before a mandate is submitted or submitted again.
``mandate_decided``: ``mandate``, ``decision``, ``unit`` (the desk, on acceptance), ``by``.
``instruction_acting``: ``instruction``; before it is accepted, or money or securities move for it.
``instruction_answered``: ``instruction``, ``outcome`` (InstructionOutcome), ``by``.
"""

from django.dispatch import Signal

mandate_submitting = Signal()
mandate_decided = Signal()
instruction_acting = Signal()
instruction_answered = Signal()
