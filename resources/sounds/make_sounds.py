"""Makes the shipped sounds: short, soft, told apart by their melody. Run when they should change; the WAV files are
kept.

    python resources/sounds/make_sounds.py
"""

import math
import struct
import wave
from pathlib import Path

RATE = 22_050
NOTES = {"C5": 523.25, "E5": 659.26, "G5": 783.99, "A4": 440.0, "D5": 587.33, "F4": 349.23, "C6": 1046.5}
SOUNDS: dict[str, list[tuple[str, float]]] = {
    "lockout": [("E5", 0.16), ("C5", 0.16), ("F4", 0.42)],
    "unlock": [("C5", 0.12), ("E5", 0.12), ("G5", 0.3)],
    "warning": [("D5", 0.12), ("D5", 0.24)],
    "enforcement": [("A4", 0.14), ("E5", 0.26)],
}


def tone(frequency: float, seconds: float) -> list[float]:
    """One note with two soft overtones; fades in and out so that it does not click."""
    count = int(RATE * seconds)
    out = []
    for index in range(count):
        at = index / RATE
        wave_sum = sum(
            level * math.sin(2 * math.pi * frequency * factor * at) for factor, level in ((1, 1), (2, 0.3), (3, 0.1))
        )
        envelope = min(1.0, at / 0.008) * math.exp(-3.2 * at / seconds) * min(1.0, (seconds - at) / 0.02)
        out.append(0.28 * wave_sum * envelope)
    return out


def main() -> None:
    for name, notes in SOUNDS.items():
        samples = [sample for note, seconds in notes for sample in tone(NOTES[note], seconds)]
        with wave.open(str(Path(__file__).parent / f"{name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(b"".join(struct.pack("<h", int(32_000 * max(-1.0, min(1.0, s)))) for s in samples))


if __name__ == "__main__":
    main()
