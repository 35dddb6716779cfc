"""The demonstration: a scripted trader breaks rule after rule at a simulated gateway, and is stopped."""
