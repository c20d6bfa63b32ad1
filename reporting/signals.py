"""What reporting asks of other layers."""

from django.dispatch import Signal

# sender Portfolio; portfolio: answered with a Letterhead by whoever knows the party that has the client.
letterhead_wanted = Signal()
