"""One partition's work: admit, handle, stage, retry. Free of any transport."""
