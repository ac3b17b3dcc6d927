"""The control room: pages and an HTTP API for those who operate the order flow, on the operators' library."""
