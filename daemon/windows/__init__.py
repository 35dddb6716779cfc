"""What only Windows has: the service, rights by SID, the event log, and the watch on NSSM.

Every module here imports on every platform; what can't work elsewhere says so or does nothing.
"""
