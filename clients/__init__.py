"""The vendors' clients: one shared transport and one package per vendor.

Every public method is one documented operation. Clients know nothing of messages, workers or each other.
"""
