"""An embedded mail platform that speaks the real protocols on loopback."""
