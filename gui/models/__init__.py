"""Qt item models over `gui.app_state`."""
