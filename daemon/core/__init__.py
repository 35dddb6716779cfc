"""The pure core: state, rules, lockouts, decisions. No clock, file, socket, log, thread or random number in here."""
