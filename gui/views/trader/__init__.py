"""The trader's window: one file a page."""
