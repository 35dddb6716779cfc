"""The commands of `riskd`, one file each."""
