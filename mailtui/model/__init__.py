"""What a mail platform is: plain typed records and pure functions, no I/O."""
