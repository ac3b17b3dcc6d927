"""The flow as declared: graph, rules, permissions, pictures."""
