"""Widgets that several pages use; none of them knows what a lockout is."""
