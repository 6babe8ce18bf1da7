"""An emulator of AWS: moto, with what moto lacks and with faults on demand."""
