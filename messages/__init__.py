"""What travels: commands in, events out, as CloudEvents 1.0.

Nothing here knows of Dramatiq, HTTP or a database (`messages.encoder` alone adapts to Dramatiq), so that
upstream code may import it.
"""
