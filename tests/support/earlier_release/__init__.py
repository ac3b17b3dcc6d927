"""Records that an earlier release has written, and what it wrote next; README.md says how they were made."""
