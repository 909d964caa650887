"""The lab: a mail platform of real daemons on this machine."""
