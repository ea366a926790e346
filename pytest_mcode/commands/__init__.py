"""The commands of `mcode` that read or exchange what was recorded, a file each."""
